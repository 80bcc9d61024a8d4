//! Stimulus that the testbenches of `rtl/mac` share: macros and activations of several flavours.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code)]

use macromac_golden::block;
use macromac_golden::macro_block::{GROUP, MACRO_BYTES, STRIP_BYTES, STRIPS, TILE};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What the numbers of a tile look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    /// As in a network: scales near 2^-8, zeros near 8, activations of a few units with outliers.
    Real,
    /// Any scale and any activation: subnormal, zero, infinite, NaN ones are frequent.
    Any,
    /// Special values are rare, so that not every sum is NaN; zeros and subnormals are frequent.
    Corner,
    /// Rows in pairs of opposite sign and equal weights: sums cancel to a few last bits.
    Cancel,
    /// Products around 2^-126: flushed, kept, rounded up to it.
    Tiny,
    /// Products and sums around 2^127.
    Huge,
}

/// All of them.
pub const FLAVOURS: [Flavour; 6] = [
    Flavour::Real,
    Flavour::Any,
    Flavour::Corner,
    Flavour::Cancel,
    Flavour::Tiny,
    Flavour::Huge,
];

/// One output-channel tile and the activations it meets.
pub struct Tile {
    /// Its macros in rising order of group.
    pub macros: Vec<[u8; MACRO_BYTES]>,
    /// 64 activations a macro.
    pub x: Vec<f32>,
}

/// A 128-bit word as the ports have it.
pub type Strip = [u32; 4];

impl Tile {
    /// A random tile of `groups` macros.
    pub fn random(rng: &mut ChaCha8Rng, groups: usize, flavour: Flavour) -> Self {
        let macros = (0..groups).map(|_| random_macro(rng, flavour)).collect();
        let mut x: Vec<f32> = (0..GROUP * groups)
            .map(|_| f32::from_bits(activation(rng, flavour)))
            .collect();
        if flavour == Flavour::Cancel {
            for pair in x.chunks_exact_mut(2) {
                // Equal, or a last bit apart.
                let nudge = u32::from(rng.random_bool(0.3));
                pair[1] = -f32::from_bits(pair[0].to_bits() ^ nudge);
            }
        }
        Self { macros, x }
    }

    /// Golden results, as bits.
    pub fn expected(&self) -> [u32; TILE] {
        block::tile(&self.macros, &self.x)
            .expect("no reserved bits are set")
            .map(f32::to_bits)
    }

    /// The strips of the tile with their "last macro of the tile" flag.
    pub fn strips(&self) -> impl Iterator<Item = (Strip, bool)> + '_ {
        let last = self.macros.len() - 1;
        self.macros
            .iter()
            .enumerate()
            .flat_map(move |(g, m)| (0..STRIPS).map(move |s| (strip(m, s), g == last)))
    }

    /// The activations of each weight strip, in order.
    pub fn acts(&self) -> impl Iterator<Item = Strip> + '_ {
        self.x
            .chunks_exact(4)
            .map(|a| std::array::from_fn(|r| a[r].to_bits()))
    }
}

/// Strip `index` of a macro.
pub fn strip(block: &[u8; MACRO_BYTES], index: usize) -> Strip {
    std::array::from_fn(|w| {
        let at = STRIP_BYTES * index + 4 * w;
        u32::from_le_bytes(block[at..at + 4].try_into().unwrap())
    })
}

/// A well-formed macro.
pub fn random_macro(rng: &mut ChaCha8Rng, flavour: Flavour) -> [u8; MACRO_BYTES] {
    let mut block = [0u8; MACRO_BYTES];
    rng.fill(&mut block[..]);
    for c in 0..TILE {
        block[2 * c..2 * c + 2].copy_from_slice(&scale(rng, flavour).to_le_bytes());
    }
    if flavour == Flavour::Real {
        for byte in &mut block[16..20] {
            *byte = rng.random_range(6..10) << 4 | rng.random_range(6..10);
        }
    }
    if flavour == Flavour::Cancel {
        for k in (0..GROUP).step_by(2) {
            block.copy_within(32 + 4 * k..36 + 4 * k, 36 + 4 * k);
        }
    }
    block[20..32].fill(0);
    block
}

/// An FP16 scale.
pub fn scale(rng: &mut ChaCha8Rng, flavour: Flavour) -> u16 {
    let bits: u16 = rng.random();
    match flavour {
        // 2^-10 .. 2^-6
        Flavour::Real | Flavour::Cancel => 0x1400 + bits % 0x1000,
        Flavour::Any => match rng.random_range(0..8) {
            0 => bits & 0x83FF,
            1 => bits & 0x8000,
            2 => 0x7C00 | bits & 0x8000,
            _ => bits,
        },
        Flavour::Corner => match rng.random_range(0..400) {
            0 => 0x7C00 | bits & 0x8000,
            1..200 => bits & 0x83FF,
            200..250 => bits & 0x8000,
            _ => bits & 0xBFFF,
        },
        // Subnormal and small normal scales.
        Flavour::Tiny => bits & 0x87FF,
        Flavour::Huge => 0x7000 | bits & 0x8BFF,
    }
}

/// The bits of an FP32 activation.
pub fn activation(rng: &mut ChaCha8Rng, flavour: Flavour) -> u32 {
    let bits: u32 = rng.random();
    match flavour {
        Flavour::Real | Flavour::Cancel => {
            let normal = rng.random_range(-1.0f32..1.0) + rng.random_range(-1.0f32..1.0);
            let outlier = if bits % 97 == 0 { 60.0 } else { 1.0 };
            (normal * outlier).to_bits()
        }
        Flavour::Any => match rng.random_range(0..8) {
            0 => bits & 0x807F_FFFF,
            1 => bits & 0x8000_0000,
            2 => 0x7F80_0000 | bits & 0x8000_0000,
            _ => bits,
        },
        Flavour::Corner => match rng.random_range(0..2000) {
            0 => 0x7F80_0000 | bits & 0x8000_0000,
            1 => bits | 0x7F80_0000,
            2..400 => bits & 0x807F_FFFF,
            400..800 => bits & 0x8000_0000,
            _ => bits & 0xBFFF_FFFF,
        },
        // Times a scale of 2^-24 .. 2^-13 this lies around 2^-126.
        Flavour::Tiny => (bits & 0x807F_FFFF) | rng.random_range(8..28) << 23,
        Flavour::Huge => (bits & 0x807F_FFFF) | rng.random_range(228..242) << 23,
    }
}

/// An FP32 number for blocks behind the multipliers: all kinds, near exponents frequent.
pub fn any_sum(rng: &mut ChaCha8Rng) -> u32 {
    let bits: u32 = rng.random();
    match rng.random_range(0..12) {
        0 => bits,
        1 => bits & 0x8000_0000,
        2 => bits & 0x81FF_FFFF,
        3 if bits % 16 == 0 => 0x7F80_0000 | bits & 0x8000_0000,
        4 => bits & 0xBF80_0000,
        _ => (bits & 0x807F_FFFF) | rng.random_range(118..132) << 23,
    }
}
