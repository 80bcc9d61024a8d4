//! Four readers behind mm_lead_limiter: they stay together whatever memory does to one of them, and never wait for each other for good.

mod unit_sys_support;

use std::collections::VecDeque;

use macromac_rtl::{Harness, Pause, Sink, Source, Verilated, mm_tb_lead, mm_tb_lead_staged, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unit_sys_support::{BEAT, Beat, Burst, Memory, ReadSlave, Timing};

const PORTS: usize = 4;
/// Between a port's segment and the next port's.
const REGION: u64 = 1 << 32;

/// A model of the group, and the bursts that a port may be ahead in it.
trait Group: Verilated<In = mm_tb_lead::In, Out = mm_tb_lead::Out> {
    const MAX_LEAD: u64;
}

impl Group for mm_tb_lead::Top {
    const MAX_LEAD: u64 = 4;
}

impl Group for mm_tb_lead_staged::Top {
    const MAX_LEAD: u64 = 2;
}

struct Bench<'a, T: Group> {
    h: &'a mut Harness<T>,
    memory: Memory,
    slaves: [ReadSlave; PORTS],
    /// ARREADY of this port stays low.
    refuses: Option<usize>,
    source: Source<(u64, u64)>,
    sink: Sink<[Beat; PORTS]>,
    got: VecDeque<[Beat; PORTS]>,
    errors: [bool; PORTS],
    /// An address that was offered in the last cycle and not taken.
    offered: [bool; PORTS],
    /// Bursts that each port has asked for since the last drain.
    asked: [u64; PORTS],
    rng: ChaCha8Rng,
}

impl<'a, T: Group> Bench<'a, T> {
    fn new(
        h: &'a mut Harness<T>,
        timing: impl Fn(&mut Harness<T>) -> Timing,
        pauses: impl Fn(&mut ChaCha8Rng) -> Pause,
    ) -> Self {
        let slaves = std::array::from_fn(|_| ReadSlave::new(timing(h), 64, 8));
        let (send, receive) = (pauses(h.rng()), pauses(h.rng()));
        let source = Source::new(h.pauser(send));
        let sink = Sink::new(h.pauser(receive));
        let rng = ChaCha8Rng::seed_from_u64(h.rng().random());
        h.reset();
        Self {
            h,
            memory: Memory::default(),
            slaves,
            refuses: None,
            source,
            sink,
            got: VecDeque::new(),
            errors: [false; PORTS],
            offered: [false; PORTS],
            asked: [0; PORTS],
            rng,
        }
    }

    fn step(&mut self) {
        let offer = self.source.offer().copied();
        let i = &mut self.h.dut.i;
        (i.arready_i, i.rvalid_i, i.rlast_i, i.rbad_i) = (0, 0, 0, 0);
        for (p, slave) in self.slaves.iter_mut().enumerate() {
            let d = slave.drive(&self.memory);
            let ready = d.ar_ready && self.refuses != Some(p);
            i.arready_i |= u8::from(ready) << p;
            i.rvalid_i |= u8::from(d.valid) << p;
            i.rlast_i |= u8::from(d.last) << p;
            i.rbad_i |= (d.resp >> 1) << p;
            i.rdata_i[4 * p..4 * p + 4].copy_from_slice(&d.data);
        }
        i.cmd_valid_i = u8::from(offer.is_some());
        let (address, beats) = offer.unwrap_or_default();
        (i.cmd_addr_i, i.cmd_beats_i) = (address as u32, beats);
        i.out_ready_i = u8::from(self.sink.ready());
        let readies = i.arready_i;
        self.h.settle();
        let o = self.h.dut.o;
        // What the ports show, before the assertions of the RTL look at the same.
        let arvalid = |p: usize| o.arvalid_o >> p & 1 == 1;
        for p in 0..PORTS {
            self.asked[p] += u64::from(arvalid(p) && !self.offered[p]);
            self.offered[p] = arvalid(p) && readies >> p & 1 == 0;
        }
        self.h
            .check_eq("a port is too far ahead", self.lead() > T::MAX_LEAD, false);
        self.h.edge();
        self.source.clock(o.cmd_ready_o == 1);
        for (p, slave) in self.slaves.iter_mut().enumerate() {
            let bit = |word: u8| word >> p & 1;
            let address = u64::from(o.araddr_o[2 * p]) | u64::from(o.araddr_o[2 * p + 1]) << 32;
            let burst = Burst::new(bit(o.arvalid_o), address, o.arlen_o.to_le_bytes()[p]);
            let taken = burst.filter(|_| bit(readies) == 1);
            if slave.clock(taken, bit(o.rready_o) == 1, &mut self.rng) {
                self.h.progress();
            }
            self.errors[p] |= bit(o.err_valid_o) == 1;
        }
        let beats = std::array::from_fn(|p| std::array::from_fn(|k| o.out_data_o[4 * p + k]));
        if let Some(word) = self.sink.clock((o.out_valid_o == 1).then_some(beats)) {
            self.got.push_back(word);
            self.h.progress();
        }
    }

    /// Bursts by which the first port is ahead of the last one.
    fn lead(&self) -> u64 {
        let least = self.asked.iter().min().copied().unwrap_or(0);
        self.asked.iter().map(|n| n - least).max().unwrap_or(0)
    }

    /// Sends segments and checks every beat and its place.
    fn read(&mut self, segments: &[(u64, u64)]) {
        self.source.extend(segments.iter().copied());
        for &(address, beats) in segments {
            for at in (0..beats).map(|k| address + BEAT * k) {
                while self.got.is_empty() {
                    self.step();
                }
                let word = self.got.pop_front().unwrap();
                for (p, beat) in word.iter().enumerate() {
                    let expected = self.memory.word(at + REGION * p as u64);
                    self.h.check_eq("beat", *beat, expected);
                }
            }
        }
        for _ in 0..20 {
            self.step();
        }
        self.h
            .check_eq("idle after the last beat", self.h.dut.o.idle_o, 0b1111);
    }

    fn drain(&mut self) {
        self.source.clear();
        self.h.dut.i.drain_i = 1;
        self.step();
        while self.h.dut.o.idle_o != 0b1111 {
            self.step();
        }
        self.h.dut.i.flush_i = 1;
        self.step();
        self.h.dut.i.flush_i = 0;
        self.h.dut.i.drain_i = 0;
        self.sink.forget();
        self.got.clear();
        self.asked = [0; PORTS];
    }

    /// While a port stands still the others come to the limit and no further; then all goes on.
    fn a_port_stands_still(&mut self, port: usize) {
        // 64 bursts a port, more than the limit.
        self.source.push((0x1_0000, 4096));
        for _ in 0..self.rng.random_range(50..400) {
            self.step();
        }
        self.refuses = Some(port);
        for _ in 0..3000 {
            self.step();
            self.h.progress();
        }
        for other in (0..PORTS).filter(|other| *other != port) {
            let ahead = self.asked[other] - self.asked[port];
            self.h.check_eq(
                "bursts ahead of a port that stands still",
                ahead,
                T::MAX_LEAD,
            );
        }
        self.refuses = None;
        let mut left = 4096 - self.got.len();
        self.got.clear();
        while left > 0 {
            self.step();
            left -= self.got.drain(..).len();
        }
    }
}

/// Segments of the device begin at 4 KiB lines, so that all ports need the same number of bursts.
fn segments(rng: &mut ChaCha8Rng, beats: u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut left = beats;
    while left > 0 {
        let length = rng.random_range(1..=left.min(900));
        found.push((u64::from(rng.random_range(0u32..0xF_0000)) << 12, length));
        left -= length;
    }
    found
}

fn random_stalls<T: Group>(name: &str) {
    for round in 0..10 {
        run(
            &format!("lead/{name}/random/{round}"),
            |h: &mut Harness<T>| {
                let mut b = Bench::new(h, Timing::random, Pause::any);
                let segments = segments(&mut b.rng, 4000);
                b.read(&segments);
            },
        );
    }
}

fn standing<T: Group>(name: &str) {
    for port in 0..PORTS {
        run(
            &format!("lead/{name}/standing/{port}"),
            |h: &mut Harness<T>| {
                let mut b = Bench::new(h, |h| Timing::ideal(h, 1), |_| Pause::Never);
                b.a_port_stands_still(port);
                // After a drain with one port ahead of another nothing of it is left.
                b.source.push((0x9_0000, 4096));
                b.refuses = Some((port + 1) % PORTS);
                for _ in 0..400 {
                    b.step();
                }
                b.refuses = None;
                b.drain();
                b.a_port_stands_still((port + 2) % PORTS);
            },
        );
    }
}

fn drains<T: Group>(name: &str) {
    for round in 0..10 {
        run(
            &format!("lead/{name}/drain/{round}"),
            |h: &mut Harness<T>| {
                let mut b = Bench::new(h, Timing::random, Pause::any);
                for _ in 0..4 {
                    let first = segments(&mut b.rng, 3000);
                    b.source.extend(first);
                    for _ in 0..b.rng.random_range(1..600) {
                        b.step();
                    }
                    // A bad beat of any port is told, and draining takes what is under way.
                    let port = b.rng.random_range(0..PORTS);
                    b.errors = [false; PORTS];
                    b.slaves[port].bad = b.slaves[port].next_beat();
                    let expected = b.slaves[port].bad.is_some();
                    for _ in 0..if expected { 3000 } else { 0 } {
                        b.step();
                        if b.errors[port] {
                            break;
                        }
                    }
                    b.h.check_eq("the bad beat is told", b.errors[port], expected);
                    b.slaves[port].bad = None;
                    b.drain();
                    let again = segments(&mut b.rng, 1500);
                    b.read(&again);
                }
            },
        );
    }
}

#[test]
fn ports_stay_together_under_random_stalls() {
    random_stalls::<mm_tb_lead::Top>("plain");
}

#[test]
fn staged_ports_stay_together_under_random_stalls() {
    random_stalls::<mm_tb_lead_staged::Top>("staged");
}

#[test]
fn a_port_that_stands_still_holds_the_others_and_no_longer() {
    standing::<mm_tb_lead::Top>("plain");
}

#[test]
fn a_staged_port_that_stands_still_holds_the_others_and_no_longer() {
    standing::<mm_tb_lead_staged::Top>("staged");
}

#[test]
fn errors_and_drains_leave_no_lead_behind() {
    drains::<mm_tb_lead::Top>("plain");
}

#[test]
fn staged_errors_and_drains_leave_no_lead_behind() {
    drains::<mm_tb_lead_staged::Top>("staged");
}
