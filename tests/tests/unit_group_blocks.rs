//! Blocks of the `kv260` unit: two products in a DSP, the slice and its twin, the term, the lane with its accumulators,
//! the unpacker; against golden or plain integers, bit for bit.

mod unit_group_common;
mod unit_mac_common;

use std::collections::VecDeque;

use macromac_golden::fp;
use macromac_golden::group::Format::{One, Two};
use macromac_golden::group::term;
use macromac_rtl::{
    Harness, Pause, Source, mm_group_lane, mm_group_term, mm_group_unpacker, mm_tb_mac2,
    mm_tb_slice, run,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use unit_group_common::GroupTile;
use unit_mac_common::FLAVOURS;

const P_BITS: u64 = (1 << 48) - 1;
/// Largest magnitude of a group sum.
const MAX_SUM: i32 = 64 * 15 * 32767;

/// Mantissas at the ends of the range and around zero.
const MANTISSAS: [i16; 8] = [-32767, 32767, 0, 1, -1, 16384, -16384, 255];

/// What one DSP adds to the cascade: two differences times a mantissa, 22 bits apart.
fn packed(weights: u8, zeros: u8, m: i16) -> i64 {
    let difference = |at: u8| i64::from(weights >> at & 15) - i64::from(zeros >> at & 15);
    (difference(4) * (1 << 22) + difference(0)) * i64::from(m)
}

/// Both fields of a packed sum as the RTL splits them, in 26 bits.
fn split(p: i64) -> [i64; 2] {
    let low = p << 42 >> 42;
    [low, (p - low) >> 22]
}

/// Every pair of corner weights and zeros with every corner mantissa, then random ones.
#[test]
fn mac2_equals_integers() {
    run("group/mac2", |h: &mut Harness<mm_tb_mac2::Top>| {
        h.dut.i.en_i = 1;
        let corners = [0u8, 1, 7, 8, 14, 15];
        let mut operands = Vec::new();
        for q0 in corners {
            for q1 in corners {
                for z0 in corners {
                    for z1 in corners {
                        for m in MANTISSAS {
                            operands.push((q1 << 4 | q0, z1 << 4 | z0, m));
                        }
                    }
                }
            }
        }
        for _ in 0..100_000 {
            let m = h.rng().random_range(-32767..=32767);
            operands.push((h.rng().random(), h.rng().random(), m));
        }
        let count = operands.len();
        // The first row's operands belong to the sum a cycle later.
        let of = |n: usize| operands[n % count];
        let other = |n: usize| operands[(7919 * n) % count];
        for n in 0..count {
            let ((q, z, m), i) = (of(n), &mut h.dut.i);
            (i.weights0_i, i.zeros0_i, i.mant0_i) = (q, z, m.cast_unsigned());
            let (q, z, m) = other(n);
            (i.weights1_i, i.zeros1_i, i.mant1_i) = (q, z, m.cast_unsigned());
            h.step();
            h.progress();
            if n >= 5 {
                let (q, z, m) = of(n - 4);
                let first = packed(q, z, m);
                h.check_bits("p0_o", h.dut.o.p0_o, first.cast_unsigned() & P_BITS);
                let (q, z, m) = of(n - 5);
                let (q1, z1, m1) = other(n - 4);
                let both = packed(q, z, m) + packed(q1, z1, m1);
                h.check_bits("p1_o", h.dut.o.p1_o, both.cast_unsigned() & P_BITS);
            }
        }
    });
}

/// The enable holds all registers of the DSP.
#[test]
fn mac2_holds_without_enable() {
    run("group/mac2/enable", |h: &mut Harness<mm_tb_mac2::Top>| {
        let mut sums: VecDeque<i64> = VecDeque::new();
        for _ in 0..50_000 {
            let (q, z): (u8, u8) = (h.rng().random(), h.rng().random());
            let m = h.rng().random_range(-32767..=32767i16);
            let enabled = h.rng().random_bool(0.6);
            let i = &mut h.dut.i;
            (i.weights0_i, i.zeros0_i, i.mant0_i) = (q, z, m.cast_unsigned());
            i.en_i = u8::from(enabled);
            h.step();
            h.progress();
            if sums.len() == 4 {
                h.check_bits("p0_o", h.dut.o.p0_o, sums[0].cast_unsigned() & P_BITS);
            }
            if enabled {
                sums.push_back(packed(q, z, m));
                if sums.len() > 4 {
                    sums.pop_front();
                }
            }
        }
    });
}

/// Four rows never let one field reach into the other: all corners of weights and mantissas.
#[test]
fn fields_of_four_rows_do_not_collide() {
    let extreme = [(0u8, 15u8), (15, 0), (0, 0), (15, 15), (7, 8)];
    for (q0, z0) in extreme {
        for (q1, z1) in extreme {
            for rows in 0..8usize.pow(4) {
                let m: [i16; 4] = std::array::from_fn(|r| MANTISSAS[rows >> (3 * r) & 7]);
                let p: i64 = m
                    .iter()
                    .map(|&m| packed(q1 << 4 | q0, z1 << 4 | z0, m))
                    .sum();
                let sum: i64 = m.iter().map(|&m| i64::from(m)).sum();
                let want = [(q0, z0), (q1, z1)].map(|(q, z)| (i64::from(q) - i64::from(z)) * sum);
                assert_eq!(split(p), want);
            }
        }
    }
}

/// The DSP cascade and its twin in simulation are equal in every cycle, whatever comes, and their sums are right.
#[test]
fn slice_equals_its_twin_and_integers() {
    run("group/slice", |h: &mut Harness<mm_tb_slice::Top>| {
        // Strips: 32 weights, 8 zeros, 4 mantissas. Row r of weights and zeros is presented r cycles late.
        type Row = ([u32; 4], u32, [i16; 4]);
        let mut history: VecDeque<Row> = VecDeque::from([([0; 4], 0, [0; 4]); 4]);
        // Sums of 8 channels: of the strip in each cycle, accumulated, kept.
        let mut rows: VecDeque<([i64; 8], bool, bool, bool)> = VecDeque::new();
        let (mut acc, mut kept) = ([0i64; 8], [0i64; 8]);
        let mut shown = None;
        let mut strip_in_group = 0;
        // Mantissas are loaded a cycle before the weights are there.
        let mut next: (Row, bool) = (([0; 4], 0, [0; 4]), false);
        let mut known = 0;
        for n in 0..400_000u32 {
            let (now, now_valid) = next;
            // While nothing is under way the enable may be low, and then nothing may move.
            let enabled = n < 100 || !h.rng().random_bool(0.1);
            let i = &mut h.dut.i;
            i.en_i = u8::from(enabled);
            if enabled {
                let valid = h.rng().random_bool(0.9) && n > 50;
                let corner = n / 256 % 3;
                let m: [i16; 4] = std::array::from_fn(|_| match corner {
                    0 => MANTISSAS[h.rng().random_range(0..2)],
                    1 => MANTISSAS[h.rng().random_range(0..8)],
                    _ => h.rng().random_range(-32767..=32767),
                });
                let weights: [u32; 4] = match corner {
                    0 => [[0u32, !0][h.rng().random_range(0..2)]; 4],
                    _ => h.rng().random(),
                };
                let zeros = match corner {
                    0 => [0u32, !0][h.rng().random_range(0..2)],
                    _ => h.rng().random(),
                };
                next = ((weights, zeros, m), valid);
                history.push_front(now);
                history.pop_back();
                let i = &mut h.dut.i;
                // The slice registers this: it belongs to the weights of the next cycle.
                i.load_i = 1;
                i.mant_i = m
                    .iter()
                    .rev()
                    .fold(0, |word, &m| word << 16 | u64::from(m.cast_unsigned()));
                i.weights_i = std::array::from_fn(|r| history[r].0[r]);
                i.zeros_i = std::array::from_fn(|r| history[r].1);
                let sums: [i64; 8] = std::array::from_fn(|c| {
                    let nibble = |word: u32| i64::from(word >> (4 * c) & 15);
                    (0..4)
                        .map(|r| (nibble(now.0[r]) - nibble(now.1)) * i64::from(now.2[r]))
                        .sum()
                });
                let first = strip_in_group == 0;
                let last = strip_in_group == 15;
                if now_valid {
                    strip_in_group = (strip_in_group + 1) % 16;
                }
                rows.push_back((sums, now_valid, now_valid && first, now_valid && last));
            } else {
                i.load_i = 0;
            }
            // Stage 8 accumulates, stage 9 keeps, stage 10 chooses: tags belong to strips 7 and 8 cycles ago.
            let at = |back: usize| rows.len().checked_sub(1 + back).map(|n| rows[n]);
            let accumulate = at(7).filter(|row| row.1);
            let capture = at(8).is_some_and(|row| row.3);
            let channel = h.rng().random_range(0..8u8);
            let i = &mut h.dut.i;
            i.acc_en_i = u8::from(accumulate.is_some());
            i.first_i = u8::from(accumulate.is_some_and(|row| row.2));
            i.capture_i = u8::from(capture);
            i.channel_i = channel;
            h.step();
            h.progress();
            let o = h.dut.o;
            if n > 20 {
                h.check_eq(
                    "packed sums, cascade and twin",
                    o.dsp_pairs_o,
                    o.twin_pairs_o,
                );
                // Without the enable no strip has come in this cycle.
                if let Some((sums, true, ..)) = at(if enabled { 7 } else { 6 }) {
                    for j in 0..4 {
                        let word = |w: usize| u128::from(o.dsp_pairs_o[w]);
                        let wide = word(3 * j / 2) | word(3 * j / 2 + 1) << 32;
                        let p = (wide >> (48 * j % 32)) as u64 & P_BITS;
                        let want = sums[2 * j] + (sums[2 * j + 1] << 22);
                        h.check_bits("packed sum", p, want.cast_unsigned() & P_BITS);
                    }
                }
            }
            if let (Some(want), true) = (shown, known > 1) {
                h.check_bits("dsp_sum_o", o.dsp_sum_o, want);
                h.check_bits("twin_sum_o", o.twin_sum_o, want);
            }
            if enabled {
                shown = Some((kept[usize::from(channel)] as u32) & 0x3FF_FFFF);
                if capture {
                    kept = acc;
                    known += 1;
                }
                if let Some((sums, _, first, _)) = accumulate {
                    for c in 0..8 {
                        acc[c] = if first { sums[c] } else { acc[c] + sums[c] };
                    }
                }
                if rows.len() > 16 {
                    rows.pop_front();
                }
            }
        }
        assert!(known > 10_000);
    });
}

/// A group sum: any size, often at an end.
fn any_group_sum(rng: &mut ChaCha8Rng) -> i32 {
    let bits = rng.random_range(1..26);
    let sum = match rng.random_range(0..8) {
        0 => rng.random_range(-3..=3),
        1 => MAX_SUM - rng.random_range(0..3),
        2 => (1 << rng.random_range(0..25)) - rng.random_range(0..2),
        _ => rng.random_range(0..1 << bits),
    };
    let sum = sum.min(MAX_SUM);
    if rng.random() { sum } else { -sum }
}

/// Bits of the scale as the lane takes them.
fn scale_port(scale: u16) -> u32 {
    fp::from_f16(scale).to_bits() >> 13
}

/// One pair of operands a cycle; returns how many were compared.
fn check_terms(
    h: &mut Harness<mm_group_term::Top>,
    operands: impl Iterator<Item = (i32, u16, u8)>,
) -> usize {
    const LATENCY: usize = 9;
    type Due = Option<(u32, (i32, u16, u8))>;
    let mut expected: VecDeque<Due> = VecDeque::new();
    let mut compared = 0;
    h.dut.i.en_i = 1;
    for next in operands.map(Some).chain([None; LATENCY]) {
        let (sum, scale, exp) = next.unwrap_or_default();
        let i = &mut h.dut.i;
        i.sum_i = sum.cast_unsigned() & 0x3FF_FFFF;
        (i.scale_i, i.exp_i) = (scale_port(scale), exp);
        h.step();
        h.progress();
        let due = (expected.len() == LATENCY).then(|| expected.pop_front());
        if let Some(Some(Some((want, (sum, scale, exp))))) = due {
            let got = h.dut.o.term_o;
            if got != want {
                h.check_bits(&format!("{sum} x {scale:04x}, E = {exp}"), got, want);
            }
            compared += 1;
        }
        let operands = (sum, scale, exp);
        expected.push_back(next.map(|_| (term(sum, scale, exp).to_bits(), operands)));
    }
    compared
}

#[test]
fn term_equals_golden() {
    const COUNT: usize = 1_000_000;
    run("group/term", |h: &mut Harness<mm_group_term::Top>| {
        let mut rng = h.rng().clone();
        let operands = (0..COUNT).map(|_| {
            let sum = any_group_sum(&mut rng);
            let scale = rng.random();
            // The ends of the range often: products around 2^-126 and 2^128.
            let exp = match rng.random_range(0..4) {
                0 => rng.random_range(0..40),
                1 => rng.random_range(215..=254),
                _ => rng.random_range(0..=254),
            };
            (sum, scale, exp)
        });
        assert_eq!(check_terms(h, operands), COUNT);
    });
}

/// Corner sums x corner scales x every exponent.
#[test]
fn term_corners_equal_golden() {
    let sums: Vec<i32> = [0, 1, 2, 3, 5, 0x7F_FFFF, 0xFF_FFFF, 0x1FF_FFFD, MAX_SUM]
        .iter()
        .chain(&[0x80_0001, 0x100_0001, 0x100_0003, 0x155_5555, 0x1C0_0001])
        .map(|&sum: &i32| sum.min(MAX_SUM))
        .flat_map(|sum| [sum, -sum])
        .collect();
    let scales: [u16; 20] = [
        0x0000, 0x0001, 0x0002, 0x0003, 0x01FF, 0x0200, 0x03FF, 0x0400, 0x0401, 0x07FF, 0x1400,
        0x3BFF, 0x3C00, 0x3C01, 0x5555, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x7FFF,
    ];
    run(
        "group/term/corners",
        |h: &mut Harness<mm_group_term::Top>| {
            let all = sums.iter().flat_map(|&sum| {
                scales
                    .iter()
                    .flat_map(|&scale| [scale, scale | 0x8000])
                    .flat_map(move |scale| (0..=254).map(move |exp| (sum, scale, exp)))
            });
            assert_eq!(check_terms(h, all), sums.len() * 40 * 255);
        },
    );
}

/// Sixteen accumulators: groups 17 cycles apart or more, tiles of several groups; what lies in the result memory afterwards.
#[test]
fn lane_equals_golden() {
    run("group/lane", |h: &mut Harness<mm_group_lane::Top>| {
        let mut acc = [0f32; 16];
        for tile in 0..600usize {
            let groups = h.rng().random_range(1..6);
            let bank = (tile % 2) as u8;
            // (sum, scale, E) of each slot of each group, and the cycle in which the group begins.
            let mut begin = Vec::new();
            let mut at = 0;
            let mut groups_of_slots = Vec::new();
            for _ in 0..groups {
                let slots: [(i32, u16, u8); 16] = std::array::from_fn(|_| {
                    let scale = match h.rng().random_range(0..200) {
                        0 => h.rng().random(),
                        n if n < 50 => h.rng().random::<u16>() & 0xBFFF,
                        _ => 0x1400 + h.rng().random::<u16>() % 0x1000,
                    };
                    let exp = h
                        .rng()
                        .random_range(if tile % 4 == 0 { 0..254 } else { 120..134 });
                    (any_group_sum(h.rng()), scale, exp)
                });
                begin.push(at);
                at += 17 + [0, 0, 1, 5][h.rng().random_range(0..4)];
                groups_of_slots.push(slots);
            }
            for (g, slots) in groups_of_slots.iter().enumerate() {
                for (acc, &(sum, scale, exp)) in acc.iter_mut().zip(slots) {
                    let before = if g == 0 { 0.0 } else { *acc };
                    *acc = fp::add(before, term(sum, scale, exp));
                }
            }
            // Slot of a stage in a cycle, and its group.
            let slot = |cycle: i64, stage: i64| {
                begin.iter().enumerate().find_map(|(g, &at)| {
                    let slot = cycle - stage - at as i64;
                    (0..16).contains(&slot).then_some((g, slot as usize))
                })
            };
            h.dut.i.en_i = 1;
            h.dut.i.rd_en_i = 0;
            for cycle in 0..at as i64 + 40 {
                let noise: (u32, u32) = (h.rng().random(), h.rng().random());
                let i = &mut h.dut.i;
                (i.sum_even_i, i.sum_odd_i) = (noise.0 & 0x3FF_FFFF, noise.1 & 0x3FF_FFFF);
                if let Some((g, s)) = slot(cycle, 1) {
                    let (sum, _, exp) = groups_of_slots[g][s];
                    let sum = sum.cast_unsigned() & 0x3FF_FFFF;
                    i.odd_i = u8::from(s >= 8);
                    if s >= 8 {
                        (i.sum_odd_i, i.exp_odd_i) = (sum, exp);
                    } else {
                        (i.sum_even_i, i.exp_even_i) = (sum, exp);
                    }
                }
                if let Some((g, s)) = slot(cycle, 2) {
                    i.scale_i = scale_port(groups_of_slots[g][s].1);
                }
                if let Some((g, s)) = slot(cycle, 10) {
                    (i.acc_slot_i, i.acc_first_i) = (s as u8, u8::from(g == 0));
                }
                let write = slot(cycle, 22);
                i.wr_en_i = u8::from(write.is_some());
                i.res_en_i = u8::from(write.is_some_and(|(g, _)| g + 1 == groups));
                i.res_bank_i = bank;
                i.wr_slot_i = write.map_or(0, |(_, s)| s as u8);
                h.step();
                h.progress();
            }
            // Results are read also while nothing else moves.
            h.dut.i.en_i = 0;
            h.dut.i.rd_en_i = 1;
            for s in 0..17u8 {
                h.dut.i.rd_addr_i = bank << 4 | (s % 16);
                h.step();
                if s > 0 {
                    let n = usize::from(s - 1);
                    h.check_bits(
                        &format!("tile {tile}, slot {n}"),
                        h.dut.o.rd_data_o,
                        acc[n].to_bits(),
                    );
                }
            }
        }
    });
}

/// Both formats under stalls: weights, zeros and flags with each weight strip, scales when its macro ends.
#[test]
fn unpacker_takes_both_formats_apart() {
    for round in 0..12 {
        run(
            &format!("group/unpacker/{round}"),
            |h: &mut Harness<mm_group_unpacker::Top>| {
                let (send, acts) = (Pause::any(h.rng()), Pause::any(h.rng()));
                let mut strips = Source::new(h.pauser(send));
                let mut act_there = Source::new(h.pauser(acts));
                let mut result_free = h.pauser(Pause::Random { probability: 0.8 });
                // What each taken strip gives: None for a header, else weights, zeros, macro and place in it.
                struct Unpacked {
                    zeros: u32,
                    scales: [u32; 4],
                    place: usize,
                    first: bool,
                    last: bool,
                }
                let mut given: Vec<Option<Unpacked>> = Vec::new();
                for n in 0..40 {
                    let groups = h.rng().random_range(1..10);
                    let format = [One, Two][h.rng().random_range(0..2)];
                    let flavour = FLAVOURS[n % FLAVOURS.len()];
                    let tile = GroupTile::random(h.rng(), format, groups, 1, flavour);
                    let beats = tile.beats(h.rng());
                    let mut at = 0;
                    for g in 0..groups {
                        let (zeros, scales) = match format {
                            One => {
                                at += 2;
                                given.extend([None, None]);
                                (beats[at - 1].data[0], beats[at - 2].data)
                            }
                            Two => {
                                if g % 4 == 0 {
                                    at += 1;
                                    given.push(None);
                                }
                                at += 1;
                                given.push(None);
                                let quad = 69 * (g / 4);
                                (beats[quad].data[g % 4], beats[at - 1].data)
                            }
                        };
                        for place in 0..16 {
                            given.push(Some(Unpacked {
                                zeros,
                                scales,
                                place,
                                first: g == 0,
                                last: g + 1 == groups,
                            }));
                            act_there.push(());
                        }
                        at += 16;
                    }
                    strips.extend(beats);
                }
                h.reset();
                let mut taken: Option<(usize, [u32; 4])> = None;
                let mut at = 0;
                while at < given.len() || taken.is_some() {
                    let offer = strips.offer().copied();
                    let noise = h.rng().random();
                    let i = &mut h.dut.i;
                    i.strip_valid_i = u8::from(offer.is_some());
                    i.strip_data_i = offer.map_or(noise, |beat| beat.data);
                    if let Some(beat) = offer {
                        i.strip_last_i = u8::from(beat.last);
                        i.shared_zeros_i = u8::from(beat.shared);
                    }
                    i.act_valid_i = u8::from(act_there.offer().is_some());
                    i.result_free_i = u8::from(!result_free.pause());
                    h.step();
                    let o = h.dut.o;
                    h.check_eq("err_reserved_o", o.err_reserved_o, 0);
                    let weights = taken.and_then(|(n, data)| given[n].as_ref().map(|u| (u, data)));
                    h.check_eq(
                        "weights_valid_o",
                        o.weights_valid_o,
                        u8::from(weights.is_some()),
                    );
                    let mut end = false;
                    if let Some((unpacked, data)) = weights {
                        h.check_eq("weights_o", o.weights_o, data);
                        h.check_eq("zeros_o", o.zeros_o, unpacked.zeros);
                        let first = u8::from(unpacked.place == 0);
                        h.check_eq("weights_first_o", o.weights_first_o, first);
                        end = unpacked.place == 15;
                        if end {
                            h.check_eq("scales_o", o.scales_o, unpacked.scales);
                            h.check_eq("tile_first_o", o.tile_first_o, u8::from(unpacked.first));
                            h.check_eq("tile_last_o", o.tile_last_o, u8::from(unpacked.last));
                        }
                    }
                    h.check_eq("weights_last_o", o.weights_last_o, u8::from(end));

                    taken = None;
                    let fired = strips.clock(o.strip_ready_o == 1);
                    let now = fired.and_then(|_| given[at].as_ref());
                    h.check_eq("weight_fire_o", o.weight_fire_o, u8::from(now.is_some()));
                    let ends = now.is_some_and(|u| u.place == 15);
                    h.check_eq("macro_end_o", o.macro_end_o, u8::from(ends));
                    let tile_ends = ends && now.is_some_and(|u| u.last);
                    h.check_eq("tile_end_o", o.tile_end_o, u8::from(tile_ends));
                    if tile_ends {
                        h.check_eq("result_free_i", h.dut.i.result_free_i, 1);
                    }
                    act_there.clock(o.weight_fire_o == 1);
                    if let Some(beat) = fired {
                        taken = Some((at, beat.data));
                        at += 1;
                        h.progress();
                    }
                }
            },
        );
    }
}
