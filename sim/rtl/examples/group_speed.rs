//! How fast the unit of the `kv260` profile is simulated, with one and with all vectors at work:
//! `cargo run --release -p macromac-rtl --example group_speed`.

use std::time::Instant;

use macromac_rtl::mm_group_mac;

/// Groups of a tile: K = 896.
const GROUPS: u32 = 14;

fn main() {
    const CYCLES: u32 = 200_000;
    for vectors in [0, 1, 2, 8] {
        let mut dut = mm_group_mac::Dut::new(1);
        for _ in 0..8 {
            dut.step().expect("no assertion fails in reset");
        }
        dut.set_reset(false);
        dut.i.strip_valid_i = u8::from(vectors > 0);
        dut.i.act_valid_i = 1;
        dut.i.result_ready_i = 1;
        dut.i.vectors_i = vectors;
        let (mut taken, mut noise) = (0u32, 1u64);
        let start = Instant::now();
        for _ in 0..CYCLES {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let word = (noise >> 32) as u32;
            dut.i.strip_data_i = match taken % 18 {
                0 => [0x1C00_1D00 | word & 0x00FF_00FF; 4],
                1 => [word, 0, 0, 0],
                _ => [word, !word, word.rotate_left(7), word ^ 0x5555_5555],
            };
            dut.i.strip_last_i = u8::from(taken / 18 % GROUPS == GROUPS - 1);
            if dut.o.act_ready_o == 1 {
                dut.i.act_data_i = [word & 0x7FFE_7FFE; 16];
            }
            dut.i.act_exp_i = 0x7F7F_7F7F_7F7F_7F7F;
            dut.step().expect("no assertion fails");
            taken += u32::from(dut.o.strip_ready_o & dut.i.strip_valid_i);
        }
        let khz = f64::from(CYCLES) / start.elapsed().as_secs_f64() / 1e3;
        println!("mm_group_mac, Batch 8, {vectors} vectors: {khz:.0} kHz, {taken} strips");
    }
}
