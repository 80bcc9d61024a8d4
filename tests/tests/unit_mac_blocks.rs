//! Unpacker, PE, PE array, adder tree and window accumulator against golden, bit for bit.

mod unit_mac_common;

use std::collections::VecDeque;

use macromac_golden::block::{self, Window};
use macromac_golden::fp;
use macromac_golden::macro_block::{self, STRIPS, TILE};
use macromac_rtl::{
    Harness, Pause, Source, mm_adder_tree, mm_pe, mm_pe_array, mm_unpacker, mm_window_acc, run,
};
use rand::Rng;
use unit_mac_common::{FLAVOURS, Strip, activation, any_sum, random_macro, scale, strip};

#[test]
fn pe_equals_golden() {
    const LATENCY: usize = 6;
    run("mac/pe", |h: &mut Harness<mm_pe::Top>| {
        let mut expected = VecDeque::new();
        for n in 0..300_000 {
            let flavour = FLAVOURS[n / 64 % FLAVOURS.len()];
            let a = activation(h.rng(), flavour);
            let s = fp::from_f16(scale(h.rng(), flavour));
            let (q, z): (u8, u8) = (h.rng().random_range(0..16), h.rng().random_range(0..16));
            let i = &mut h.dut.i;
            (i.act_i, i.scale_i, i.q_i, i.zero_i) = (a, s.to_bits(), q, z);
            let product = block::pe(f32::from_bits(a), s, q.into(), z.into());
            expected.push_back((product.to_bits(), a, s, q, z));
            h.step();
            h.progress();
            if n >= LATENCY {
                let (want, a, s, q, z) = expected.pop_front().unwrap();
                let got = h.dut.o.product_o;
                if got != want {
                    h.check_bits(&format!("{a:08x} * {s:e} * ({q} - {z})"), got, want);
                }
            }
        }
    });
}

#[test]
fn pe_array_equals_golden() {
    const LATENCY: usize = 6;
    run("mac/pe_array", |h: &mut Harness<mm_pe_array::Top>| {
        let mut expected = VecDeque::new();
        for n in 0..20_000 {
            let flavour = FLAVOURS[n / 16 % FLAVOURS.len()];
            let acts: Strip = std::array::from_fn(|_| activation(h.rng(), flavour));
            let scales = [(); TILE].map(|()| fp::from_f16(scale(h.rng(), flavour)));
            let (zeros, words): (u32, Strip) = (h.rng().random(), h.rng().random());
            let i = &mut h.dut.i;
            (i.acts_i, i.scales_i) = (acts, scales.map(f32::to_bits));
            (i.zeros_i, i.weights_i) = (zeros, words);
            let zero = std::array::from_fn(|c| macro_block::nibble(zeros, c));
            expected.push_back(block::pe_array(
                acts.map(f32::from_bits),
                words,
                &scales,
                &zero,
            ));
            h.step();
            h.progress();
            if n >= LATENCY {
                let want = expected.pop_front().unwrap();
                for (r, row) in want.iter().enumerate() {
                    for (c, p) in row.iter().enumerate() {
                        let got = h.dut.o.products_o[8 * r + c];
                        if got != p.to_bits() {
                            h.check_bits(&format!("row {r} column {c}"), got, p.to_bits());
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn adder_tree_equals_golden() {
    const LATENCY: usize = 8;
    run("mac/adder_tree", |h: &mut Harness<mm_adder_tree::Top>| {
        let mut expected = VecDeque::new();
        for n in 0..300_000 {
            let p: Strip = std::array::from_fn(|_| any_sum(h.rng()));
            h.dut.i.products_i = p;
            expected.push_back((block::tree(p.map(f32::from_bits)).to_bits(), p));
            h.step();
            h.progress();
            if n >= LATENCY {
                let (want, p) = expected.pop_front().unwrap();
                if h.dut.o.sum_o != want {
                    h.check_bits(&format!("{p:08x?}"), h.dut.o.sum_o, want);
                }
            }
        }
    });
}

/// Halves of steps with any number of whole periods between them, channels of 8, 16, .. steps.
///
/// `gap` is the probability of an idle period at each place where one may be.
fn window(h: &mut Harness<mm_window_acc::Top>, channels: usize, steps: &[usize], gap: f64) {
    /// Cycles from a channel's last half to its results.
    const LATENCY: u64 = 13;
    h.reset();
    let mut expected: VecDeque<(u64, [u32; TILE])> = VecDeque::new();
    let check = |h: &mut Harness<mm_window_acc::Top>, expected: &mut VecDeque<_>| {
        h.step();
        h.progress();
        // `cycle` counts the step just made.
        let due = expected.front().is_some_and(|&(at, _)| at == h.cycle() - 1);
        h.check_eq("result_valid_o", h.dut.o.result_valid_o, u8::from(due));
        if due {
            let (_, want): (u64, [u32; TILE]) = expected.pop_front().unwrap();
            h.check_eq("results_o", h.dut.o.results_o, want);
        }
    };
    let idle = |h: &mut Harness<mm_window_acc::Top>, expected: &mut VecDeque<_>, cycles: usize| {
        for _ in 0..cycles {
            let i = &mut h.dut.i;
            // What is on the wires without a valid bit must not matter.
            (i.lo_valid_i, i.hi_valid_i, i.last_i) = (0, 0, 0);
            h.dut.i.odd_i = h.rng().random_range(0..2);
            h.dut.i.take_i = h.rng().random_range(0..2);
            h.dut.i.sums_i = std::array::from_fn(|_| any_sum(h.rng()));
            check(h, expected);
        }
    };
    let periods = |h: &mut Harness<mm_window_acc::Top>| {
        let mut n = 0;
        while h.rng().random_bool(gap) {
            n += 2;
        }
        n
    };
    for _ in 0..channels {
        let count = steps[h.rng().random_range(0..steps.len())];
        let mut windows = [Window::default(); TILE];
        for step in 0..count {
            // Scale and zero strips.
            if step % 8 == 0 {
                idle(h, &mut expected, 2);
            }
            let n = periods(h);
            idle(h, &mut expected, n);
            let lo: [u32; TILE] = std::array::from_fn(|_| any_sum(h.rng()));
            let hi: [u32; TILE] = std::array::from_fn(|_| any_sum(h.rng()));
            for c in 0..TILE {
                windows[c].step(f32::from_bits(lo[c]), f32::from_bits(hi[c]));
            }
            let i = &mut h.dut.i;
            (i.sums_i, i.lo_valid_i, i.hi_valid_i, i.last_i) = (lo, 1, 0, 0);
            check(h, &mut expected);
            let n = periods(h);
            idle(h, &mut expected, n);
            let i = &mut h.dut.i;
            (i.sums_i, i.lo_valid_i, i.hi_valid_i) = (hi, 0, 1);
            i.odd_i = (step % 2) as u8;
            i.take_i = u8::from(step < 2);
            i.last_i = u8::from(step + 1 == count);
            if step + 1 == count {
                let results = std::array::from_fn(|c| windows[c].fold().to_bits());
                expected.push_back((h.cycle() + LATENCY, results));
            }
            check(h, &mut expected);
        }
    }
    idle(h, &mut expected, LATENCY as usize + 1);
    assert!(expected.is_empty());
}

#[test]
fn window_equals_golden_back_to_back() {
    // K = 64 again and again: the fold runs while the next channel takes its first step.
    run("mac/window/64", |h| window(h, 500, &[8], 0.0));
    run("mac/window/mixed", |h| window(h, 200, &[8, 16, 40], 0.0));
    run("mac/window/4864", |h| window(h, 6, &[608], 0.0));
}

#[test]
fn window_equals_golden_with_gaps() {
    for (round, gap) in [0.02, 0.1, 0.3, 0.5, 0.7, 0.9].into_iter().enumerate() {
        run(&format!("mac/window/gap{round}"), |h| {
            window(h, 150, &[8, 16, 24], gap)
        });
    }
}

#[test]
fn window_forgets_on_flush() {
    run("mac/window/flush", |h: &mut Harness<mm_window_acc::Top>| {
        for wait in 0..16 {
            // A last step whose sums are under way in every stage when the flush comes.
            h.reset();
            for (odd, take, last) in [(0, 1, 0), (1, 1, 0), (0, 0, 0), (1, 0, 1)] {
                let i = &mut h.dut.i;
                (i.lo_valid_i, i.hi_valid_i, i.last_i) = (1, 0, 0);
                h.step();
                let i = &mut h.dut.i;
                (i.lo_valid_i, i.hi_valid_i) = (0, 1);
                (i.odd_i, i.take_i, i.last_i) = (odd, take, last);
                h.step();
            }
            let i = &mut h.dut.i;
            (i.hi_valid_i, i.last_i) = (0, 0);
            for cycle in 0..40 {
                h.dut.i.flush_i = u8::from(cycle == wait);
                h.step();
                let valid = cycle == 12 && wait >= 12;
                h.check_eq("result_valid_o", h.dut.o.result_valid_o, u8::from(valid));
            }
            window(h, 3, &[8], 0.1);
        }
    });
}

#[test]
fn unpacker_equals_golden() {
    for round in 0..12 {
        run(
            &format!("mac/unpacker/{round}"),
            |h: &mut Harness<mm_unpacker::Top>| {
                let (send, acts) = (Pause::any(h.rng()), Pause::any(h.rng()));
                let mut strips = Source::new(h.pauser(send));
                let mut act_there = Source::new(h.pauser(acts));
                let mut result_free = h.pauser(Pause::Random { probability: 0.8 });
                let mut blocks = Vec::new();
                for n in 0..60 {
                    let mut block = random_macro(h.rng(), FLAVOURS[n % FLAVOURS.len()]);
                    let last = n % 3 == 2;
                    if h.rng().random_bool(0.3) {
                        let bit = h.rng().random_range(32..128);
                        block[16 + bit / 8] |= 1 << (bit % 8);
                    }
                    strips.extend((0..STRIPS).map(|s| (strip(&block, s), last)));
                    act_there.extend((2..STRIPS).map(|_| ()));
                    blocks.push(block);
                }
                h.reset();
                // What the outputs must be in the next cycle: (macro, strip), or an error pulse.
                let (mut unpacked, mut error) = (None::<(usize, usize)>, false);
                let (mut at, mut phase_of_even) = (0, None);
                while at < blocks.len() * STRIPS || unpacked.is_some() {
                    let offer = strips.offer().copied();
                    h.dut.i.strip_valid_i = u8::from(offer.is_some());
                    if let Some((data, last)) = offer {
                        (h.dut.i.strip_data_i, h.dut.i.strip_last_i) = (data, u8::from(last));
                    } else {
                        h.dut.i.strip_data_i = h.rng().random();
                    }
                    h.dut.i.act_valid_i = u8::from(act_there.offer().is_some());
                    h.dut.i.result_free_i = u8::from(!result_free.pause());
                    h.step();
                    let o = h.dut.o;

                    h.check_eq("err_reserved_o", o.err_reserved_o, u8::from(error));
                    h.check_eq(
                        "weights_valid_o",
                        o.weights_valid_o,
                        u8::from(unpacked.is_some()),
                    );
                    let mut last_strip = false;
                    if let Some((m, s)) = unpacked {
                        let block = &blocks[m];
                        let step = (s - 2) / 2;
                        last_strip = m % 3 == 2 && s + 1 == STRIPS;
                        h.check_eq("weights_o", o.weights_o, strip(block, s));
                        h.check_eq("weights_hi_o", usize::from(o.weights_hi_o), s % 2);
                        h.check_eq("weights_odd_o", usize::from(o.weights_odd_o), step % 2);
                        let take = m % 3 == 0 && step < 2;
                        h.check_eq("weights_take_o", o.weights_take_o, u8::from(take));
                        let scales = std::array::from_fn(|c| {
                            let half = u16::from_le_bytes([block[2 * c], block[2 * c + 1]]);
                            fp::from_f16(half).to_bits()
                        });
                        h.check_eq("scales_o", o.scales_o, scales);
                        h.check_eq("zeros_o", o.zeros_o, strip(block, 1)[0]);
                    }
                    h.check_eq("weights_last_o", o.weights_last_o, u8::from(last_strip));

                    (unpacked, error) = (None, false);
                    let taken = strips.clock(o.strip_ready_o == 1).is_some();
                    let (m, s) = (at / STRIPS, at % STRIPS);
                    let act_taken = taken && s >= 2;
                    h.check_eq("act_ready_o", o.act_ready_o, u8::from(act_taken));
                    act_there.clock(o.act_ready_o == 1);
                    if taken {
                        if s >= 2 {
                            unpacked = Some((m, s));
                            h.check_eq("act_valid_i", h.dut.i.act_valid_i, 1);
                        } else if s == 1 {
                            error = strip(&blocks[m], 1)[1..] != [0; 3];
                        }
                        if m % 3 == 2 && s + 1 == STRIPS {
                            h.check_eq("result_free_i", h.dut.i.result_free_i, 1);
                        }
                        // Even strips in one phase, odd ones in the other.
                        let phase = (h.cycle() as usize + s) % 2;
                        h.check_eq("phase", phase, *phase_of_even.get_or_insert(phase));
                        at += 1;
                        h.progress();
                    }
                }
            },
        );
    }
}
