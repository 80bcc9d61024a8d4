//! Result collector, completion and write master together: random results, random stalls on every handshake, every byte in
//! its place, and no report ahead of the response to the data it speaks of.

mod unit_sys_support;

use std::collections::VecDeque;

use macromac_rtl::{Harness, Pause, Pauser, Verilated, mm_results, mm_results_batch, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unit_sys_support::{BEAT, Beat, Burst, Memory, Timing, WriteSlave};

const RECORD: u64 = 0x8_0FFF_FFF0;
const ROW_BYTES: u64 = 128;

#[derive(Debug, Clone, Copy)]
struct Step {
    page: u64,
    tile_rows: u64,
    vectors: u64,
    report: u64,
    irq: bool,
}

impl Step {
    fn rows(&self) -> u64 {
        self.tile_rows * self.vectors
    }
}

/// A row: what the four units offer together.
type Row = [u32; 32];

/// Results with any batch: the ports are the same.
trait Results: Verilated<In = mm_results::In, Out = mm_results::Out> {
    const BATCH: u64;
}

impl Results for mm_results::Top {
    const BATCH: u64 = 1;
}

impl Results for mm_results_batch::Top {
    const BATCH: u64 = 16;
}

struct Bench<'a, T: Results = mm_results::Top> {
    h: &'a mut Harness<T>,
    memory: Memory,
    write: WriteSlave,
    steps: VecDeque<Step>,
    rows: VecDeque<Row>,
    /// Cycles a unit needs between two rows, and pauses of its own.
    row_gap: u64,
    next_row: u64,
    offering: bool,
    pauser: Pauser,
    cycle: u64,
    /// Steps sent to the device, in order.
    sent: Vec<Step>,
    /// Rows whose response came, over all steps.
    in_memory: u64,
    /// The record as it was last, and all records in order: steps, rows, status.
    records: Vec<(u32, u32, u32)>,
    interrupts: u32,
    rng: ChaCha8Rng,
}

impl<'a, T: Results> Bench<'a, T> {
    fn new(
        h: &'a mut Harness<T>,
        timing: impl Fn(&mut Harness<T>) -> Timing,
        pause: Pause,
    ) -> Self {
        let write = WriteSlave::new(timing(h), 32);
        let rng = ChaCha8Rng::seed_from_u64(h.rng().random());
        let pauser = h.pauser(pause);
        let i = &mut h.dut.i;
        i.ring_steps_i = 3;
        i.record_addr_i = RECORD;
        h.reset();
        h.dut.i.enable_i = 1;
        Self {
            h,
            memory: Memory::default(),
            write,
            steps: VecDeque::new(),
            rows: VecDeque::new(),
            row_gap: 1,
            next_row: 0,
            offering: false,
            pauser,
            cycle: 0,
            sent: Vec::new(),
            in_memory: 0,
            records: Vec::new(),
            interrupts: 0,
            rng,
        }
    }

    fn step(&mut self) {
        let w = self.write.drive();
        let paused = self.pauser.pause();
        if !self.offering && !paused && self.cycle >= self.next_row {
            self.offering = !self.rows.is_empty();
        }
        let i = &mut self.h.dut.i;
        i.m_axi_awready = u8::from(w.aw_ready);
        i.m_axi_wready = u8::from(w.w_ready);
        i.m_axi_bvalid = u8::from(w.b_valid);
        i.m_axi_bresp = w.b_resp;
        i.stamp_i = self.cycle as u32;
        i.step_valid_i = 0;
        if let Some(step) = self.steps.front() {
            i.step_valid_i = 1;
            i.step_page_i = (step.page >> 12) as u32;
            i.step_tile_rows_i = step.tile_rows as u16;
            (i.step_rows_i, i.step_vectors_i) = (step.rows() as u32, step.vectors as u8);
            i.step_report_i = step.report as u16;
            i.step_irq_i = u8::from(step.irq);
        }
        i.res_valid_i = if self.offering { 15 } else { 0 };
        i.res_data_i = self.rows.front().copied().unwrap_or([0; 32]);
        self.h.step();
        let o = self.h.dut.o;
        if self.h.dut.i.step_valid_i == 1 && o.step_ready_o == 1 {
            self.sent.extend(self.steps.pop_front());
        }
        if self.offering && o.res_ready_o == 1 {
            self.offering = false;
            self.rows.pop_front();
            self.next_row = self.cycle + self.row_gap;
        }
        self.interrupts += u32::from(o.irq_o);
        let answered = self.write.clock(
            &mut self.memory,
            Burst::new(o.m_axi_awvalid, o.m_axi_awaddr, o.m_axi_awlen),
            (o.m_axi_wvalid == 1).then_some((o.m_axi_wdata, o.m_axi_wlast == 1)),
            o.m_axi_bready == 1,
            &mut self.rng,
        );
        // The memory shows a record when its burst is complete: at the latest then what it says must be true.
        if let Some(burst) = answered {
            if burst.address == RECORD {
                let [steps, rows, status, _] = self.memory.word(RECORD);
                self.records.push((steps, rows, status));
            } else {
                assert_eq!(burst.address % ROW_BYTES, 0, "bursts hold whole tile rows");
                if self.write.bad != Some(burst.address) {
                    self.in_memory += burst.beats * BEAT / ROW_BYTES;
                }
            }
            self.h.progress();
        }
        if o.m_axi_wvalid == 1 && w.w_ready {
            self.h.progress();
        }
        self.check_record_in_flight();
        self.cycle += 1;
    }

    /// A record on the W channel must not speak of rows whose response has not come.
    fn check_record_in_flight(&self) {
        let o = self.h.dut.o;
        if o.m_axi_awvalid == 1
            && o.m_axi_awaddr == RECORD
            && o.m_axi_wvalid == 1
            && o.m_axi_wlast == 1
        {
            let [steps, rows, ..] = o.m_axi_wdata;
            let steps = steps as usize;
            let vectors = self.sent.get(steps).map_or(0, |s| s.vectors);
            let said: u64 = self.sent.iter().take(steps).map(Step::rows).sum::<u64>()
                + u64::from(rows) / 32 * vectors;
            assert!(
                said <= self.in_memory,
                "a record says {said} rows, {} are in memory",
                self.in_memory
            );
        }
    }

    fn random_rows(&mut self, n: u64) {
        for _ in 0..n {
            let row = std::array::from_fn(|_| self.rng.random());
            self.rows.push_back(row);
        }
    }

    fn done(&self) -> bool {
        let o = self.h.dut.o;
        self.steps.is_empty() && self.rows.is_empty() && o.idle_o == 1 && o.pending_o == 0
    }

    /// Runs all steps and checks memory, records and interrupts.
    fn run_steps(&mut self, steps: &[Step]) {
        self.steps.extend(steps.iter().copied());
        let total: u64 = steps.iter().map(Step::rows).sum();
        self.random_rows(total);
        let expected: Vec<Row> = self.rows.iter().copied().collect();
        while self
            .records
            .last()
            .is_none_or(|r| r.0 as usize != steps.len())
            || !self.done()
        {
            self.step();
        }
        let mut rows = expected.iter();
        for (n, step) in steps.iter().enumerate() {
            for r in 0..step.rows() {
                let row = rows.next().unwrap();
                for b in 0..8 {
                    let expected: Beat = std::array::from_fn(|k| row[4 * b + k]);
                    let got = self
                        .memory
                        .word(step.page + ROW_BYTES * r + BEAT * b as u64);
                    let what = format!("step {n}, row {r}, beat {b}");
                    self.h.check_eq(&what, got, expected);
                }
            }
        }
        let words = self.memory.written() as u64;
        assert_eq!(words, total * 8 + 1, "nothing is written elsewhere");
        self.check_records(steps);
        let wanted = steps.iter().filter(|s| s.irq).count() as u32;
        // Interrupts of steps that end in one report are one.
        assert!(
            self.interrupts <= wanted && (self.interrupts > 0) == (wanted > 0),
            "{} interrupts, {wanted} steps ask",
            self.interrupts
        );
        assert_eq!(self.h.dut.o.steps_done_o as usize, steps.len());
        assert_eq!(usize::from(self.h.dut.o.ring_index_o), steps.len() % 3);
    }

    fn check_records(&self, steps: &[Step]) {
        let mut last = (0, 0);
        for &(done, rows, status) in &self.records {
            assert_eq!(status, 0);
            assert_eq!(rows % 32, 0, "whole tile rows");
            assert!(
                (done, rows) >= last,
                "progress never goes back: {last:?}, then {:?}",
                (done, rows)
            );
            last = (done, rows);
            if rows != 0 {
                assert!(u64::from(rows) / 32 < steps[done as usize].tile_rows);
            }
        }
    }
}

fn random_steps<T: Results>(rng: &mut ChaCha8Rng, n: u64) -> Vec<Step> {
    (0..n)
        .map(|k| Step {
            page: 0x8_1000_0000 + 0x10_0000 * k,
            tile_rows: rng.random_range(1..45),
            vectors: rng.random_range(1..=T::BATCH),
            report: *[0, 0, 1, 2, 3, 4, 5, 9]
                .get(rng.random_range(0..8))
                .unwrap(),
            irq: rng.random(),
        })
        .collect()
}

#[test]
fn bytes_and_reports_under_random_stalls() {
    bytes_and_reports::<mm_results::Top>();
}

#[test]
fn bytes_and_reports_of_several_vectors() {
    bytes_and_reports::<mm_results_batch::Top>();
}

fn bytes_and_reports<T: Results>() {
    for round in 0..16 {
        run(&format!("results/random/{round}"), |h: &mut Harness<T>| {
            let pause = Pause::any(h.rng());
            let mut b = Bench::new(h, Timing::random, pause);
            b.row_gap = b.rng.random_range(1..30);
            let steps = random_steps::<T>(&mut b.rng, 8);
            b.run_steps(&steps);
        });
    }
}

#[test]
fn progress_is_reported_as_asked() {
    for report in [1, 2, 3, 4, 7] {
        run(
            &format!("results/report/{report}"),
            |h: &mut Harness<mm_results::Top>| {
                let mut b = Bench::new(h, |h| Timing::ideal(h, 1), Pause::Never);
                // Slow enough that no two reports merge.
                b.row_gap = 60;
                b.run_steps(&[Step {
                    page: 0x8_1000_0000,
                    tile_rows: 40,
                    vectors: 1,
                    report,
                    irq: true,
                }]);
                let mut at = 0;
                for &(steps, rows, _) in &b.records {
                    let now = if steps == 1 { 40 } else { u64::from(rows) / 32 };
                    // Bursts of 1, 2 or 4 tile rows: a report comes with the first burst that reaches the mark.
                    let granule = [1, 2, 2].get(report as usize - 1).copied().unwrap_or(4);
                    let mark = at + report.div_ceil(granule) * granule;
                    assert_eq!(now, mark.min(40), "report after {at}");
                    at = now;
                }
                assert_eq!(at, 40);
            },
        );
    }
}

/// What is reported of several vectors: only tile rows that are there for all of them, with the first burst that reaches
/// the mark.
#[test]
fn progress_of_several_vectors() {
    for (report, vectors) in [(1, 1), (1, 2), (1, 3), (2, 1), (3, 5), (4, 16), (7, 3)] {
        run(
            &format!("results/report/{report}x{vectors}"),
            |h: &mut Harness<mm_results_batch::Top>| {
                let mut b = Bench::new(h, |h| Timing::ideal(h, 1), Pause::Never);
                b.row_gap = 60;
                b.run_steps(&[Step {
                    page: 0x8_1000_0000,
                    tile_rows: 40,
                    vectors,
                    report,
                    irq: true,
                }]);
                // Bursts of 4 rows, or the largest power of two in what is asked for.
                let burst = [1, 2, 2]
                    .get((report * vectors) as usize - 1)
                    .copied()
                    .unwrap_or(4);
                let (mut expected, mut since, mut at) = (Vec::new(), 0, 0);
                while at < 40 * vectors {
                    let before = at / vectors;
                    at = (at + burst).min(40 * vectors);
                    since += at / vectors - before;
                    if since >= report || at == 40 * vectors {
                        expected.push(at / vectors);
                        since = 0;
                    }
                }
                let got: Vec<u64> = (b.records.iter())
                    .map(|&(steps, rows, _)| if steps == 1 { 40 } else { u64::from(rows) / 32 })
                    .collect();
                assert_eq!(got, expected, "tile rows reported");
            },
        );
    }
}

#[test]
fn wide_bursts_and_a_row_every_eight_cycles() {
    run("results/throughput", |h: &mut Harness<mm_results::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1), Pause::Never);
        b.run_steps(&[Step {
            page: 0x8_1000_0000,
            tile_rows: 200,
            vectors: 1,
            report: 0,
            irq: false,
        }]);
        assert!(
            b.write.answered.iter().filter(|u| u.beats == 32).count() >= 50,
            "wide bursts"
        );
        assert!(
            b.cycle < 200 * 8 + 60,
            "{} cycles for 200 tile rows",
            b.cycle
        );
    });
}

#[test]
fn short_end_of_step() {
    run("results/latency", |h: &mut Harness<mm_results::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1), Pause::Never);
        b.run_steps(&[Step {
            page: 0x8_1000_0000,
            tile_rows: 1,
            vectors: 1,
            report: 0,
            irq: true,
        }]);
        println!(
            "results/latency: {} cycles from the results of one tile row to its record",
            b.cycle
        );
        assert!(b.cycle <= 30, "{} cycles from results to record", b.cycle);
    });
}

#[test]
fn write_error_is_not_counted() {
    for round in 0..8 {
        run(
            &format!("results/error/{round}"),
            |h: &mut Harness<mm_results::Top>| {
                let pause = Pause::any(h.rng());
                let mut b = Bench::new(h, Timing::random, pause);
                b.row_gap = 18;
                let bad = 0x8_1000_0000 + 512 * b.rng.random_range(0..8);
                b.write.bad = Some(bad);
                b.steps.push_back(Step {
                    page: 0x8_1000_0000,
                    tile_rows: 40,
                    vectors: 1,
                    report: 4,
                    irq: true,
                });
                b.random_rows(40);
                while b.h.dut.o.rsp_valid_o == 0 || b.h.dut.o.rsp_err_o == 0 {
                    b.step();
                }
                assert_eq!(b.h.dut.o.rsp_addr_o, bad);
                // The sequencer halts the device in the next cycle.
                b.h.dut.i.enable_i = 0;
                let good = (bad - 0x8_1000_0000) / ROW_BYTES;
                for _ in 0..2000 {
                    b.step();
                }
                assert_eq!(b.h.dut.o.idle_o, 1, "begun bursts are finished");
                assert_eq!(b.h.dut.o.steps_done_o, 0);
                assert!(
                    b.records
                        .iter()
                        .all(|&(s, r, _)| s == 0 && u64::from(r) <= 32 * good),
                    "{:?}",
                    b.records
                );
                // The record of the fault.
                b.h.dut.i.flush_i = 1;
                b.step();
                b.h.dut.i.flush_i = 0;
                b.write.bad = None;
                (b.h.dut.i.fault_valid_i, b.h.dut.i.fault_cause_i) = (1, 4);
                b.step();
                assert_eq!(b.h.dut.o.fault_ready_o, 1);
                b.h.dut.i.fault_valid_i = 0;
                b.rows.clear();
                b.offering = false;
                let before = b.records.len();
                while b.records.len() == before {
                    b.step();
                }
                assert_eq!(*b.records.last().unwrap(), (0, 32 * good as u32, 0x401));
            },
        );
    }
}
