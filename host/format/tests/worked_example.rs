//! The worked examples of docs/formats.md that span more than a block.

use half::f16;
use macromac_format::{Layout, QuantMatrix, block};

#[test]
fn output_channel_37_input_channel_70_of_40_x_100() {
    let layout = Layout::new(40, 100);
    assert_eq!(
        (layout.tiles(), layout.tile_rows(), layout.groups()),
        (8, 2, 2)
    );
    assert_eq!(layout.segment_bytes(), 1152);
    let mut m = QuantMatrix {
        n: 40,
        k: 100,
        q: vec![0; 4000],
        scales: vec![f16::ONE; 80],
        zeros: vec![0; 80],
    };
    m.q[37 * 100 + 70] = 9;
    let segments = m.to_segments();
    assert_eq!(segments[0][920..924], (9u32 << (4 * 5)).to_le_bytes());
    assert_eq!(segments.iter().flatten().filter(|b| **b == 0x90).count(), 1);
    // Input channel 100 and output channel 40 are padding.
    let raw: &[u8; 288] = segments[0][864..1152].try_into().unwrap();
    assert_eq!(block::word(raw, 100 - 64), 0);
    assert!(
        segments[1][576..].iter().all(|b| *b == 0),
        "tile 5 is padding, scale and all"
    );
}
