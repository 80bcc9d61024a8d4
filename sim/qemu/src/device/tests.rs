//! The device's thread without QEMU: requests by hand, anonymous memory for a guest.

use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use memmap2::{MmapMut, MmapOptions, MmapRaw};
use rustix::event::{EventfdFlags, eventfd};

use super::*;
use crate::backend::Request;
use crate::guest::Region;
use crate::testing::{self, BYTES};
use crate::vfio::Vfio;

const FIRST: u64 = 0x5000_0000;
const RECORD: u64 = FIRST + testing::RECORD;
const Y: u64 = FIRST + testing::Y;
const WEIGHTS: u64 = FIRST + testing::WEIGHTS;

/// A guest: its memory, its event, and the way to the device.
struct Guest {
    memory: *mut u8,
    event: File,
    requests: Sender<Request>,
    thread: Option<JoinHandle<Report>>,
}

impl Guest {
    fn new(profile: Profile) -> Self {
        let map: MmapMut = MmapOptions::new()
            .len(2 * BYTES as usize)
            .map_anon()
            .unwrap();
        let map = MmapRaw::from(map);
        let memory = map.as_mut_ptr();
        let (requests, inbox) = channel();
        let thread = std::thread::spawn(move || {
            Device::new(profile, Memory::Ideal, (FIRST, BYTES))
                .unwrap()
                .serve(&mut Vfio::new(inbox))
        });
        let event = File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
        let guest = Self {
            memory,
            event,
            requests,
            thread: Some(thread),
        };
        // Twice the window, so that a stray hits memory that is there.
        guest.send(Request::Map(Region {
            address: FIRST,
            map,
        }));
        guest.send(Request::Interrupt(Some(guest.event.try_clone().unwrap())));
        guest
    }

    fn send(&self, request: Request) {
        self.requests.send(request).unwrap();
    }

    fn load_bytes(&self, offset: u64, bytes: usize) -> u64 {
        let (sender, answer) = sync_channel(1);
        self.send(Request::Load(offset, bytes, sender));
        answer.recv().unwrap()
    }

    fn load(&self, register: u32) -> u32 {
        self.load_bytes(register.into(), 4) as u32
    }

    fn store(&self, register: u32, value: u32) {
        self.send(Request::Store(register.into(), 4, value.into()));
    }

    fn page(&self, offset: u64) -> u32 {
        self.load_bytes(offset, 4) as u32
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        let at = (address - FIRST) as usize;
        // SAFETY: inside the mapping, which the device's thread keeps until it is joined; it does not look there now.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.memory.add(at), bytes.len()) };
    }

    fn word(&self, address: u64) -> u32 {
        let at = (address - FIRST) as usize;
        // SAFETY: as above, aligned; the device may write it meanwhile, hence volatile.
        unsafe { self.memory.add(at).cast::<u32>().read_volatile() }
    }

    /// A step; the weights of port 3 lie at `last`.
    fn program(&self, last: u64) {
        for (register, value) in testing::program(FIRST, last, |at, bytes| self.write(at, bytes)) {
            self.store(register, value);
        }
    }

    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < end, "{what}: not within a minute");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn raised(&self) -> bool {
        (&self.event).read(&mut [0; 8]).is_ok()
    }

    fn end(mut self) -> Report {
        let thread = self.thread.take().unwrap();
        drop(self.requests);
        thread.join().unwrap()
    }
}

#[test]
fn a_step_computes_in_the_guests_memory_and_the_clock_stops() {
    for profile in [Profile::Paper, Profile::Kv260] {
        let guest = Guest::new(profile);
        assert_eq!(guest.load(regs::ID), regs::ID_RESET);
        guest.program(WEIGHTS + 0x3000);
        guest.until("the record", || guest.word(RECORD) == 1);
        for row in 0..32 {
            let found = f32::from_bits(guest.word(Y + 4 * row));
            assert_eq!(found, testing::expected(row), "row {row}");
        }
        guest.until("the interrupt", || guest.raised());
        guest.until("the end of the clock", || guest.page(test_page::AWAKE) == 0);
        let clocks = guest.page(test_page::CLOCKS);
        assert_eq!(guest.page(test_page::CLOCKS), clocks);
        // The level: it comes again when it is unmasked and the cause is still there, and not after that is gone.
        assert!(!guest.raised());
        guest.send(Request::Mask(false));
        guest.until("the interrupt again", || guest.raised());
        guest.store(regs::IRQ_STATUS, 3);
        guest.send(Request::Mask(false));
        assert_eq!(guest.load(regs::IRQ_STATUS), 0);
        assert!(!guest.raised());
        let report = guest.end();
        assert_eq!((report.stray_dma, report.failure), (0, None));
        assert_eq!((report.register_writes, report.doorbell_writes), (8, 1));
    }
}

/// An interrupt that nobody has seen yet goes when its cause goes, as on a wire.
#[test]
fn an_unseen_interrupt_is_taken_back() {
    let guest = Guest::new(Profile::Paper);
    guest.program(WEIGHTS + 0x3000);
    guest.until("the record", || guest.word(RECORD) == 1);
    guest.until("the cause", || guest.load(regs::IRQ_STATUS) == 1);
    guest.store(regs::IRQ_ENABLE, 0);
    guest.load(regs::IRQ_ENABLE);
    assert!(!guest.raised());
    guest.store(regs::IRQ_ENABLE, 1);
    guest.until("the interrupt", || guest.raised());
    assert_eq!(guest.end().interrupts, 1);
}

#[test]
fn a_burst_outside_of_the_window_is_a_bus_error_and_is_counted() {
    let guest = Guest::new(Profile::Paper);
    // Memory of the guest, but behind the window.
    guest.program(FIRST + BYTES);
    guest.until("the fault", || {
        guest.load(regs::STATUS) & regs::STATUS_FAULTED_MASK != 0
    });
    assert_eq!(guest.load(regs::ERR_CAUSE) & 0xFFF, 0x301);
    assert_eq!(guest.load(regs::ERR_ADDR_LO), (FIRST + BYTES) as u32);
    assert!(guest.page(test_page::STRAYS) >= 1);
    let report = guest.end();
    assert!(report.stray_dma >= 1);
    let stray = &report.strays[0];
    assert_eq!(
        (stray.port, stray.direction, stray.address),
        (3, "read", FIRST + BYTES)
    );
}

#[test]
fn a_port_that_hangs_ends_by_the_watchdog_and_without_one_stops_the_clock() {
    for watchdog in [20_000, 0] {
        let guest = Guest::new(Profile::Paper);
        guest.store(regs::WATCHDOG, watchdog);
        guest.store(test_page::NTH as u32, 0);
        guest.store(test_page::INJECT as u32, 0x103);
        guest.program(WEIGHTS + 0x3000);
        guest.until("the end of the clock", || guest.page(test_page::AWAKE) == 0);
        let cause = if watchdog == 0 { 0 } else { 5 };
        assert_eq!(guest.load(regs::ERR_CAUSE) & 0xFF, cause);
        assert_eq!(guest.word(RECORD), 0);
        // With the memory back a reset ends it, and the device works again.
        guest.store(test_page::CLEAR as u32, 1);
        guest.store(regs::CTRL, regs::CTRL_SOFT_RESET_MASK);
        guest.until("idle", || {
            guest.load(regs::STATUS) & regs::STATUS_IDLE_MASK != 0
        });
        guest.program(WEIGHTS + 0x3000);
        guest.until("the record", || guest.word(RECORD) == 1);
        assert_eq!(guest.end().injections, 1);
    }
}

#[test]
fn accesses_that_are_no_words_change_nothing() {
    let guest = Guest::new(Profile::Paper);
    assert_eq!(guest.load_bytes(1, 4), u64::MAX);
    assert_eq!(guest.load_bytes(0, 2), u64::MAX);
    guest.send(Request::Store(regs::WATCHDOG.into(), 1, 7));
    assert_eq!(guest.load(regs::WATCHDOG), 0);
    // Two words at once are two accesses.
    guest.send(Request::Store(regs::RING_BASE_LO.into(), 8, 0x1_2345_6780));
    assert_eq!(
        guest.load_bytes(regs::RING_BASE_LO.into(), 8),
        0x1_2345_6780
    );
    // Whatever is not a register reads as something, and the device goes on.
    guest.load(0xFFC);
    guest.load(0x1FFC);
    assert_eq!(guest.load(regs::ID), regs::ID_RESET);
    let report = guest.end();
    assert_eq!((report.odd_accesses, report.failure), (3, None));
}
