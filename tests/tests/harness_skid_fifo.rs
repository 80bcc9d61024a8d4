//! The harness proves itself on the two stream modules: random stalls against a queue, and a planted
//! violation that must fail the run.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use macromac_rtl::{Harness, Pause, Sink, Source, mm_fifo, mm_skid, mm_tb_violation, run};
use rand::Rng;

const WORDS: usize = 5_000;

/// Sends WORDS through the register slice; returns the cycles from the first offer to the last word.
fn pump_skid(h: &mut Harness<mm_skid::Top>, send: Pause, receive: Pause) -> u64 {
    h.reset();
    let mut source = Source::new(h.pauser(send));
    let mut sink = Sink::new(h.pauser(receive));
    source.extend(
        (0..WORDS)
            .map(|_| h.rng().random::<u32>())
            .collect::<Vec<_>>(),
    );
    let mut held = VecDeque::new();
    let mut received = 0;
    let start = h.cycle();
    while received < WORDS {
        let offer = source.offer().copied();
        h.dut.i.in_valid_i = u8::from(offer.is_some());
        // What a sender drives while it offers nothing must not matter.
        h.dut.i.in_data_i = offer.unwrap_or_else(|| h.rng().random());
        h.dut.i.out_ready_i = u8::from(sink.ready());
        h.step();
        let o = h.dut.o;
        if let Some(word) = sink.clock((o.out_valid_o == 1).then_some(o.out_data_o)) {
            h.check_eq("out_data_o", Some(word), held.pop_front());
            received += 1;
            h.progress();
        }
        held.extend(source.clock(o.in_ready_o == 1));
        assert!(
            held.len() <= 2,
            "a register slice holds two words, not {}",
            held.len()
        );
    }
    h.cycle() - start
}

#[test]
fn skid_passes_every_word_under_random_stalls() {
    for round in 0..20 {
        run(&format!("skid/{round}"), |h| {
            let (send, receive) = (Pause::any(h.rng()), Pause::any(h.rng()));
            pump_skid(h, send, receive);
        });
    }
}

#[test]
fn skid_takes_a_word_a_cycle() {
    run("skid/throughput", |h| {
        let cycles = pump_skid(h, Pause::Never, Pause::Never);
        h.check_eq("cycles", cycles, WORDS as u64 + 1);
    });
}

const DEPTH: usize = 13;

fn pump_fifo(h: &mut Harness<mm_fifo::Top>, send: Pause, receive: Pause, flushes: bool) -> u64 {
    h.reset();
    let mut source = Source::new(h.pauser(send));
    let mut sink = Sink::new(h.pauser(receive));
    source.extend(
        (0..WORDS)
            .map(|_| h.rng().random::<u64>() >> 24)
            .collect::<Vec<_>>(),
    );
    let mut held: VecDeque<u64> = VecDeque::new();
    let mut left = WORDS;
    let mut full = 0;
    let start = h.cycle();
    while left > 0 {
        let flush = flushes && h.rng().random_bool(0.002);
        let offer = source.offer().copied();
        h.dut.i.in_valid_i = u8::from(offer.is_some());
        h.dut.i.in_data_i = offer.unwrap_or_default();
        h.dut.i.out_ready_i = u8::from(sink.ready());
        h.dut.i.flush_i = u8::from(flush);
        h.step();
        let o = h.dut.o;
        h.check_eq("level_o", usize::from(o.level_o), held.len());
        full += usize::from(held.len() == DEPTH);
        if let Some(word) = sink.clock((o.out_valid_o == 1).then_some(o.out_data_o)) {
            h.check_eq("out_data_o", Some(word), held.pop_front());
            left -= 1;
            h.progress();
        }
        held.extend(source.clock(o.in_ready_o == 1));
        if flush {
            h.check_eq("in_ready_o during flush", o.in_ready_o, 0);
            left -= held.len();
            held.clear();
            sink.forget();
        }
    }
    println!("full in {full} cycles");
    h.cycle() - start
}

#[test]
fn fifo_equals_a_queue_under_random_stalls() {
    for round in 0..20 {
        run(&format!("fifo/{round}"), |h| {
            let (send, receive) = (Pause::any(h.rng()), Pause::any(h.rng()));
            pump_fifo(h, send, receive, round % 2 == 1);
        });
    }
}

#[test]
fn fifo_takes_a_word_a_cycle_and_fills_up() {
    run("fifo/throughput", |h| {
        let cycles = pump_fifo(h, Pause::Never, Pause::Never, false);
        h.check_eq("cycles", cycles, WORDS as u64 + 2);
    });
    run("fifo/full", |h: &mut Harness<mm_fifo::Top>| {
        h.reset();
        h.dut.i.in_valid_i = 1;
        for _ in 0..DEPTH {
            h.step();
            h.check_eq("in_ready_o", h.dut.o.in_ready_o, 1);
        }
        h.step();
        h.check_eq("in_ready_o when full", h.dut.o.in_ready_o, 0);
        h.check_eq("level_o when full", usize::from(h.dut.o.level_o), DEPTH);
    });
}

/// The text that a failing run panics with.
fn failure_of(name: &str, testbench: impl Fn(&mut Harness<mm_tb_violation::Top>)) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| run(name, testbench)))
        .expect_err("the planted violation was not noticed");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => panic!("the failure carries no text"),
    }
}

#[test]
fn a_planted_violation_fails_the_run() {
    let bench = |violate: bool| {
        move |h: &mut Harness<mm_tb_violation::Top>| {
            h.dut.i.out_ready_i = 1;
            h.reset();
            for cycle in 0..100 {
                h.dut.i.out_ready_i = u8::from(cycle % 5 == 0);
                h.dut.i.break_payload_i = u8::from(violate && cycle >= 50);
                h.step();
            }
        }
    };
    // Without the violation the same run is clean, so it is the violation that is caught.
    run("violation/control", bench(false));
    let text = failure_of("violation/planted", bench(true));
    assert!(
        text.contains("a_in_stable"),
        "the assertion is not named: {text}"
    );
    assert!(
        text.contains("mm_skid.sv"),
        "its place is not given: {text}"
    );
    assert!(
        text.contains("cycle 5") && text.contains("seed"),
        "no cycle or seed: {text}"
    );
}

#[test]
fn a_fatal_error_in_the_rtl_fails_the_run_and_not_the_process() {
    let text = failure_of("violation/fatal", |h| {
        h.reset();
        h.dut.i.call_fatal_i = 1;
        h.step();
    });
    assert!(text.contains("planted fatal error"), "{text}");
}

#[test]
fn the_watchdog_ends_a_run_that_hangs() {
    let text = failure_of("violation/watchdog", |h| {
        h.reset();
        h.set_watchdog(100);
        loop {
            h.step();
        }
    });
    assert!(text.contains("no progress for 100 cycles"), "{text}");
}
