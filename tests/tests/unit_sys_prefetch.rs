//! Prefetch FIFO for UltraRAM: a queue, whatever the stalls; a word a cycle in spite of the memory's registers.

use std::collections::VecDeque;

use macromac_rtl::{Harness, Pause, Sink, Source, mm_prefetch_fifo, run};
use rand::Rng;

const DEPTH: usize = 27;
const WORDS: usize = 4000;
/// Cycles from a word accepted to the word offered: ReadCycles (4) and the registers around.
const LATENCY: u64 = 8;

fn pump(h: &mut Harness<mm_prefetch_fifo::Top>, pauses: [Pause; 2], flushes: bool) -> u64 {
    h.reset();
    let [send, receive] = pauses;
    let mut source = Source::new(h.pauser(send));
    let mut sink = Sink::new(h.pauser(receive));
    let words: Vec<u64> = (0..WORDS).map(|_| h.rng().random::<u64>() >> 24).collect();
    source.extend(words);
    let mut held: VecDeque<u64> = VecDeque::new();
    let mut left = WORDS;
    // What leaves a full FIFO makes room a cycle later.
    let mut room = true;
    let start = h.cycle();
    while left > 0 {
        let flush = flushes && h.rng().random_bool(0.01);
        let offer = source.offer().copied();
        h.dut.i.in_valid_i = u8::from(offer.is_some());
        h.dut.i.in_data_i = offer.unwrap_or_default();
        h.dut.i.out_ready_i = u8::from(sink.ready());
        h.dut.i.flush_i = u8::from(flush);
        h.step();
        let o = h.dut.o;
        if !flush {
            h.check_eq("in_ready_o", o.in_ready_o == 1, room);
        }
        let before = held.len();
        if let Some(word) = sink.clock((o.out_valid_o == 1).then_some(o.out_data_o)) {
            h.check_eq("out_data_o", Some(word), held.pop_front());
            left -= 1;
            h.progress();
        }
        let accepted = source.clock(o.in_ready_o == 1);
        room = flush || before + usize::from(accepted.is_some()) < DEPTH;
        held.extend(accepted);
        if flush {
            h.check_eq("in_ready_o during flush", o.in_ready_o, 0);
            left -= held.len();
            held.clear();
            sink.forget();
        }
    }
    h.cycle() - start
}

#[test]
fn equals_a_queue_under_random_stalls() {
    for round in 0..20 {
        run(&format!("prefetch/{round}"), |h| {
            let pauses = [Pause::any(h.rng()), Pause::any(h.rng())];
            pump(h, pauses, round % 2 == 1);
        });
    }
}

#[test]
fn a_word_every_cycle() {
    run("prefetch/throughput", |h| {
        let cycles = pump(h, [Pause::Never; 2], false);
        h.check_eq("cycles", cycles, WORDS as u64 + LATENCY);
    });
}

#[test]
fn a_word_every_cycle_after_a_stall() {
    run(
        "prefetch/stall",
        |h: &mut Harness<mm_prefetch_fifo::Top>| {
            h.reset();
            // Full, and everything read ahead as far as it goes.
            h.dut.i.in_valid_i = 1;
            for _ in 0..DEPTH {
                h.step();
                h.check_eq("in_ready_o", h.dut.o.in_ready_o, 1);
            }
            h.dut.i.in_valid_i = 0;
            for _ in 0..20 {
                h.step();
            }
            h.check_eq("in_ready_o when full", h.dut.o.in_ready_o, 0);
            h.dut.i.out_ready_i = 1;
            for word in 0..DEPTH {
                h.step();
                assert_eq!(h.dut.o.out_valid_o, 1, "word {word} of a full FIFO is late");
            }
            h.step();
            h.check_eq("out_valid_o when empty", h.dut.o.out_valid_o, 0);
        },
    );
}
