//! Sequencer: start, stop, soft reset, faults, watchdog.

use macromac_rtl::{Harness, mm_sequencer, run};

type H = Harness<mm_sequencer::Top>;

fn begin(h: &mut H) {
    let i = &mut h.dut.i;
    (i.readers_idle_i, i.data_idle_i, i.writer_idle_i) = (1, 1, 1);
    i.ring_index_i = 7;
    h.reset();
    h.step();
    assert_eq!(h.dut.o.idle_o, 1);
    pulse(h, |i| i.start_i = 1, |i| i.start_i = 0);
    assert_eq!(h.dut.o.start_o, 1);
    h.step();
    assert_eq!((h.dut.o.enable_o, h.dut.o.idle_o), (1, 0));
}

fn pulse(h: &mut H, on: impl Fn(&mut mm_sequencer::In), off: impl Fn(&mut mm_sequencer::In)) {
    on(&mut h.dut.i);
    h.step();
    off(&mut h.dut.i);
}

/// Steps until `done`, at most 20 cycles.
fn until(h: &mut H, what: &str, done: impl Fn(&mm_sequencer::Out) -> bool) {
    for _ in 0..20 {
        h.step();
        if done(&h.dut.o) {
            return;
        }
    }
    panic!("{what} never came");
}

/// From a fault just reported to the halt; checks draining, the record and the interrupt.
fn halts(h: &mut H, record: bool) {
    h.dut.i.readers_idle_i = 0;
    h.step();
    assert_eq!(
        (h.dut.o.enable_o, h.dut.o.drain_o, h.dut.o.faulted_o),
        (0, 1, 1),
        "halted in the next cycle"
    );
    // Something is still under way: no flush yet.
    for busy in 0..3 {
        let idle = |k| u8::from(busy != k);
        (
            h.dut.i.readers_idle_i,
            h.dut.i.data_idle_i,
            h.dut.i.writer_idle_i,
        ) = (idle(0), idle(1), idle(2));
        for _ in 0..5 {
            h.step();
            assert_eq!(
                (h.dut.o.flush_o, h.dut.o.draining_o, h.dut.o.rec_valid_o),
                (0, 1, 0)
            );
        }
    }
    h.dut.i.writer_idle_i = 1;
    until(h, "flush", |o| o.flush_o == 1);
    if record {
        assert_eq!(h.dut.o.fault_irq_o, 0);
        until(h, "record", |o| o.rec_valid_o == 1);
        // Taken by the writer; its response takes a while.
        h.dut.i.rec_ready_i = 1;
        h.step();
        (h.dut.i.rec_ready_i, h.dut.i.writer_idle_i) = (0, 0);
        for _ in 0..5 {
            h.step();
            assert_eq!(
                (h.dut.o.rec_valid_o, h.dut.o.fault_irq_o),
                (0, 0),
                "the interrupt comes after the record"
            );
        }
        h.dut.i.writer_idle_i = 1;
        until(h, "interrupt", |o| o.fault_irq_o == 1);
    } else {
        until(h, "interrupt", |o| o.fault_irq_o == 1);
    }
    for _ in 0..5 {
        h.step();
        let o = &h.dut.o;
        assert_eq!(
            (
                o.fault_irq_o,
                o.rec_valid_o,
                o.draining_o,
                o.idle_o,
                o.faulted_o
            ),
            (0, 0, 0, 0, 1)
        );
    }
    // Start is ignored, soft reset recovers.
    pulse(h, |i| i.start_i = 1, |i| i.start_i = 0);
    assert_eq!(h.dut.o.start_o, 0);
    pulse(h, |i| i.soft_reset_i = 1, |i| i.soft_reset_i = 0);
    until(h, "clear", |o| o.clear_o == 1);
    h.step();
    let o = &h.dut.o;
    assert_eq!((o.idle_o, o.faulted_o, o.cause_o), (1, 0, 0));
}

/// A fault with its expected registers: cause, port, step, address.
fn fault(name: &str, expected: (u8, u8, u16, u64), on: impl Fn(&mut mm_sequencer::In)) {
    run(&format!("sequencer/{name}"), |h: &mut H| {
        begin(h);
        h.step();
        let quiet = h.dut.i;
        on(&mut h.dut.i);
        h.step();
        h.dut.i = quiet;
        halts(h, expected.0 != 2);
        // Once more, with a later fault of another kind: the first one stays.
        begin_again(h);
        on(&mut h.dut.i);
        h.step();
        h.dut.i = quiet;
        h.dut.i.desc_err_i = 1;
        h.dut.i.rd_err_i = 15;
        h.dut.i.wr_err_i = 1;
        h.step();
        h.dut.i = quiet;
        h.step();
        let o = &h.dut.o;
        assert_eq!(
            (o.cause_o, o.port_o, o.step_o, o.addr_o),
            expected,
            "cause, port, step, address"
        );
    });
}

fn begin_again(h: &mut H) {
    pulse(h, |i| i.start_i = 1, |i| i.start_i = 0);
    h.step();
    assert_eq!(h.dut.o.enable_o, 1, "runs again after a soft reset");
}

fn addresses() -> [u32; 5] {
    // 40 bits a port: 0x80_0000_00p0.
    let mut words = [0u32; 5];
    for p in 0..4usize {
        let v = 0x80_0000_0000u64 + 0x10 * p as u64;
        for b in 0..40 {
            words[(40 * p + b) / 32] |= ((v >> b & 1) as u32) << ((40 * p + b) % 32);
        }
    }
    words
}

#[test]
fn fault_read_weights() {
    for p in 0..4u8 {
        fault(
            &format!("read-{p}"),
            (1, p, 7, 0x80_0000_0000 + 0x10 * u64::from(p)),
            move |i| {
                (i.rd_err_i, i.rd_err_addr_i) = (1 << p, addresses());
            },
        );
    }
}

#[test]
fn fault_read_data() {
    fault("read-data", (1, 4, 7, 0x9_1230), |i| {
        (i.data_err_i, i.data_err_addr_i) = (1, 0x9_1230)
    });
}

#[test]
fn fault_write() {
    fault("write", (2, 4, 7, 0x8_4560), |i| {
        (i.wr_err_i, i.wr_err_addr_i) = (1, 0x8_4560)
    });
}

#[test]
fn fault_descriptor() {
    fault("descriptor", (3, 4, 3, 0), |i| {
        (i.desc_err_i, i.desc_index_i) = (1, 3)
    });
}

#[test]
fn fault_reserved() {
    for p in 0..4u8 {
        fault(&format!("reserved-{p}"), (4, p, 7, 0), move |i| {
            i.reserved_err_i = 1 << p
        });
    }
}

#[test]
fn several_faults_in_one_cycle() {
    fault("several", (2, 4, 7, 0x8_4560), |i| {
        (i.wr_err_i, i.wr_err_addr_i) = (1, 0x8_4560);
        (i.rd_err_i, i.rd_err_addr_i) = (15, addresses());
        (i.desc_err_i, i.reserved_err_i) = (1, 15);
    });
}

#[test]
fn fault_watchdog() {
    run("sequencer/watchdog", |h: &mut H| {
        begin(h);
        h.dut.i.watchdog_i = 50;
        // Nothing released: it may wait for ever.
        for _ in 0..200 {
            h.step();
        }
        assert_eq!(h.dut.o.faulted_o, 0);
        // Released work and progress now and then: no fault.
        h.dut.i.doorbell_i = 5;
        h.dut.i.steps_done_i = 4;
        for k in 0..500 {
            h.dut.i.progress_i = u8::from(k % 49 == 48);
            h.step();
        }
        assert_eq!(h.dut.o.faulted_o, 0);
        h.dut.i.progress_i = 0;
        let mut cycles = 0;
        while h.dut.o.enable_o == 1 {
            h.step();
            cycles += 1;
            assert!(cycles < 100, "the watchdog never expired");
        }
        assert_eq!((h.dut.o.cause_o, h.dut.o.step_o), (5, 7));
    });
}

#[test]
fn stop_completes_what_is_released() {
    run("sequencer/stop", |h: &mut H| {
        begin(h);
        // Sequence numbers wrap: 3 steps are released across 2^32.
        (h.dut.i.doorbell_i, h.dut.i.steps_done_i) = (1, 0xFFFF_FFFE);
        h.step();
        pulse(h, |i| i.stop_i = 1, |i| i.stop_i = 0);
        h.dut.i.doorbell_i = 9;
        for done in [0xFFFF_FFFE, 0xFFFF_FFFF, 0] {
            h.dut.i.steps_done_i = done;
            for _ in 0..10 {
                h.step();
                let o = &h.dut.o;
                assert_eq!(
                    (o.enable_o, o.draining_o, o.released_o),
                    (1, 1, 1),
                    "later doorbells do not count"
                );
            }
        }
        // Complete, but the report is not written yet.
        (h.dut.i.steps_done_i, h.dut.i.pending_i) = (1, 1);
        h.step();
        (h.dut.i.pending_i, h.dut.i.writer_idle_i) = (0, 0);
        for _ in 0..5 {
            h.step();
            assert_eq!(h.dut.o.enable_o, 1, "waits for the last report");
        }
        (h.dut.i.writer_idle_i, h.dut.i.readers_idle_i) = (1, 0);
        h.step();
        for _ in 0..5 {
            h.step();
            let o = &h.dut.o;
            assert_eq!(
                (o.enable_o, o.drain_o, o.flush_o, o.idle_o),
                (0, 1, 0, 0),
                "drains the prefetch"
            );
        }
        h.dut.i.readers_idle_i = 1;
        until(h, "flush", |o| o.flush_o == 1);
        assert_eq!(h.dut.o.clear_o, 0, "counters stay");
        until(h, "idle", |o| o.idle_o == 1);
        assert_eq!(h.dut.o.faulted_o, 0);
        begin_again(h);
        assert_eq!(h.dut.o.released_o, 9, "the doorbell counts again");
    });
}

#[test]
fn soft_reset_at_any_time() {
    run("sequencer/soft-reset", |h: &mut H| {
        // k: cycles after the fault (or after start, without one) at which soft reset comes.
        for with_fault in [false, true] {
            for k in 0..14 {
                begin(h);
                h.dut.i.writer_idle_i = 0;
                h.dut.i.desc_err_i = u8::from(with_fault);
                h.step();
                h.dut.i.desc_err_i = 0;
                for j in 0..k {
                    h.dut.i.writer_idle_i = u8::from(j > 3);
                    h.dut.i.rec_ready_i = u8::from(j > 6);
                    h.step();
                }
                pulse(h, |i| i.soft_reset_i = 1, |i| i.soft_reset_i = 0);
                (h.dut.i.writer_idle_i, h.dut.i.rec_ready_i) = (1, 1);
                until(h, "idle after soft reset", |o| o.idle_o == 1);
                assert_eq!(h.dut.o.faulted_o, 0);
                h.dut.i.rec_ready_i = 0;
                begin_again(h);
                pulse(h, |i| i.soft_reset_i = 1, |i| i.soft_reset_i = 0);
                until(h, "idle", |o| o.idle_o == 1);
            }
        }
        // Also when idle.
        pulse(h, |i| i.soft_reset_i = 1, |i| i.soft_reset_i = 0);
        until(h, "clear", |o| o.clear_o == 1);
        until(h, "idle", |o| o.idle_o == 1);
    });
}
