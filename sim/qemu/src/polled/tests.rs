//! The device and the registers' page in one thread: what a guest stores between two looks is said to the letter.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};

use macromac_driver::Profile;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, memfd_create};

use super::*;
use crate::device::Memory;
use crate::guest::Region;
use crate::report::Report;
use crate::testing::{self, BYTES as WINDOW, RECORD, WEIGHTS, Y};

const REGISTERS: u64 = 0x4000;
const FIRST: u64 = 0x10000;
const RESET: u32 = regs::CTRL_SOFT_RESET_MASK;
const STOP: u32 = regs::CTRL_STOP_MASK;

/// A guest: its memory, what is behind its interrupt controller, and the device.
struct Guest {
    memory: MmapRaw,
    page: Page,
    commands: Receiver<String>,
    front: Polled,
    device: Device,
}

/// QEMU's end of the socket: answers, and passes on what it was told.
fn qemu(answer: &'static str) -> (UnixStream, Receiver<String>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (told, commands) = channel();
    std::thread::spawn(move || {
        let mut writer = theirs.try_clone().unwrap();
        for line in BufReader::new(theirs).lines().map_while(Result::ok) {
            // The test may have ended.
            let _ = told.send(line);
            let _ = writer.write_all(answer.as_bytes());
        }
    });
    (ours, commands)
}

impl Guest {
    fn new(profile: Profile) -> Self {
        Self::with_answer(profile, "OK\n")
    }

    fn with_answer(profile: Profile, answer: &'static str) -> Self {
        let file = File::from(memfd_create("guest", MemfdFlags::CLOEXEC).unwrap());
        // Twice the window, so that a stray hits memory that is there.
        file.set_len(FIRST + 2 * WINDOW).unwrap();
        let map = |file: &File| MmapOptions::new().map_raw(file).unwrap();
        let (socket, commands) = qemu(answer);
        let wire = Qtest::over(socket, "gic inputs 89").unwrap();
        let mut device = Device::new(profile, Memory::Ideal, (FIRST, WINDOW)).unwrap();
        device.memory().map(Region {
            address: 0,
            map: map(&file),
        });
        let mut guest = Self {
            memory: map(&file),
            page: Page::new(&file, REGISTERS).unwrap(),
            commands,
            front: Polled::new(Page::new(&file, REGISTERS).unwrap(), wire),
            device,
        };
        guest.turn();
        guest
    }

    fn turn(&mut self) {
        assert!(self.device.turn(&mut self.front), "QEMU is gone");
    }

    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if done(self) {
                return;
            }
            self.turn();
        }
        panic!("{what}: never");
    }

    fn store(&self, register: u32, value: u32) {
        self.page.show(register.into(), value);
    }

    fn load(&self, register: u32) -> u32 {
        self.page.load(register.into())
    }

    fn word(&self, at: u64) -> u32 {
        let at = (FIRST + at) as usize;
        // SAFETY: inside the mapping and aligned; nothing else runs now.
        unsafe { self.memory.as_ptr().add(at).cast::<u32>().read_volatile() }
    }

    /// All stores of a program and its doorbell, between two looks.
    fn program(&self, last: u64) {
        let write = |at: u64, bytes: &[u8]| {
            assert!(at as usize + bytes.len() <= self.memory.len());
            // SAFETY: inside the mapping; nothing else runs now.
            unsafe {
                let to = self.memory.as_mut_ptr().add(at as usize);
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            }
        };
        for (register, value) in testing::program(FIRST, last, write) {
            self.store(register, value);
        }
    }

    fn good_program(&self) {
        self.program(FIRST + WEIGHTS + 0x3000);
    }

    fn end(self) -> Report {
        self.device.report(&self.front)
    }
}

fn is(guest: &Guest, mask: u32) -> bool {
    guest.load(regs::STATUS) & mask != 0
}

#[test]
fn stores_of_one_look_are_made_in_the_drivers_order() {
    for profile in [Profile::Paper, Profile::Kv260] {
        let mut guest = Guest::new(profile);
        assert_eq!(guest.load(regs::ID), regs::ID_RESET);
        assert!(is(&guest, regs::STATUS_IDLE_MASK));
        guest.good_program();
        guest.until("the record", |guest| guest.word(RECORD) == 1);
        for row in 0..32 {
            let found = f32::from_bits(guest.word(Y + 4 * row));
            assert_eq!(found, testing::expected(row), "row {row}");
        }
        // With the record come what belongs to it.
        assert_eq!(guest.load(regs::STEPS_DONE), 1);
        assert_eq!(guest.load(regs::STEPS_LO), 1);
        assert_eq!(guest.load(regs::PORT_BASE + regs::PORT_STRIPS_LO), 18);
        assert_eq!(guest.load(regs::CTRL), 0);
        guest.until("the end of the clock", |guest| !guest.device.awake());
        assert_eq!(guest.page.load(test_page::AWAKE), 0);
        assert_eq!(guest.commands.recv().unwrap(), "set_irq_in gic inputs 89 1");
        assert_eq!(guest.commands.recv().unwrap(), "set_irq_in gic inputs 89 0");
        let report = guest.end();
        assert_eq!(report.transport, Transport::PolledMemory);
        assert_eq!((report.register_writes, report.doorbell_writes), (7, 1));
        assert_eq!((report.stray_dma, report.lost_stores), (0, 0));
        assert_eq!((report.interrupts, report.failure), (1, None));
    }
}

/// The word has the value already: an acknowledgement, a reset, the first doorbell of the next program.
#[test]
fn the_same_store_again_is_found() {
    let mut guest = Guest::new(Profile::Paper);
    for round in 1..4 {
        guest.good_program();
        guest.until("the record", |guest| guest.word(RECORD) == 1);
        // It was shown with this record, too; a stop does not clear it.
        assert_eq!(guest.load(regs::STEPS_LO), if round == 3 { 2 } else { 1 });
        guest.until("the cause", |guest| guest.load(regs::IRQ_STATUS) & 1 == 1);
        guest.turn();
        guest.store(regs::IRQ_STATUS, 1);
        guest.until("the end of the cause", |guest| {
            guest.load(regs::IRQ_STATUS) == MARK
        });
        assert!(!guest.device.irq());
        guest.store(regs::CTRL, if round == 2 { STOP } else { RESET });
        guest.until("rest", |guest| is(guest, regs::STATUS_IDLE_MASK));
        assert_eq!(guest.load(regs::DOORBELL), 0);
        assert_eq!(guest.front.interrupts(), round);
    }
    guest.store(regs::CTRL, RESET);
    guest.turn();
    guest.store(regs::CTRL, RESET);
    guest.turn();
    let report = guest.end();
    // The first program is 7 stores, of the others 3 words are news; then 2 stores each, and 2 more.
    assert_eq!(report.register_writes, 7 + 2 * 2 + 3 * 2 + 2);
    assert_eq!(report.lost_stores, 0);
}

#[test]
fn a_start_that_was_overwritten_never_runs_and_its_doorbell_is_counted() {
    let mut guest = Guest::new(Profile::Paper);
    guest.good_program();
    guest.store(regs::CTRL, STOP);
    for _ in 0..100 {
        guest.turn();
    }
    assert!(is(&guest, regs::STATUS_IDLE_MASK));
    assert_eq!((guest.word(RECORD), guest.load(regs::DOORBELL)), (0, 0));
    // The next program is not released by the lost one's doorbell.
    guest.store(regs::CTRL, regs::CTRL_START_MASK);
    for _ in 0..100 {
        guest.turn();
    }
    assert_eq!(guest.word(RECORD), 0);
    guest.store(regs::DOORBELL, 1);
    guest.until("the record", |guest| guest.word(RECORD) == 1);
    assert_eq!(guest.end().lost_stores, 1);
}

/// Whoever stores a stop after the start was taken must not find the device at rest.
#[test]
fn a_start_is_shown_before_it_is_taken() {
    let mut guest = Guest::new(Profile::Paper);
    guest.good_program();
    assert_eq!(
        guest.front.attend(&mut guest.device).unwrap(),
        Attended::Something
    );
    assert_eq!(guest.load(regs::CTRL), 0);
    assert!(!is(&guest, regs::STATUS_IDLE_MASK));
    // A stop lets the released step end.
    guest.store(regs::CTRL, STOP);
    guest.until("rest", |guest| is(guest, regs::STATUS_IDLE_MASK));
    assert_eq!(guest.word(RECORD), 1);
}

/// A handler acknowledges an older step while the next one ends: the sleeper looks at the record after that, does not see it,
/// and must be woken.
#[test]
fn a_step_that_was_not_seen_is_not_acknowledged() {
    let mut guest = Guest::new(Profile::Paper);
    guest.good_program();
    guest.front.attend(&mut guest.device).unwrap();
    while !guest.device.memory().holds() {
        guest.device.advance(&guest.front).unwrap();
    }
    assert_eq!(guest.word(RECORD), 0);
    guest.store(regs::IRQ_STATUS, 1);
    guest.until("the record", |guest| guest.word(RECORD) == 1);
    guest.until("the interrupt", |guest| guest.front.interrupts() == 1);
    assert_eq!(guest.load(regs::IRQ_STATUS), MARK | 1);

    // Now with the cause standing: the acknowledgement of what was seen after the record is held back another time.
    guest.store(regs::DOORBELL, 2);
    guest.front.attend(&mut guest.device).unwrap();
    while !guest.device.memory().holds() {
        guest.device.advance(&guest.front).unwrap();
    }
    guest.store(regs::IRQ_STATUS, 1);
    guest.until("the second record", |guest| guest.word(RECORD) == 2);
    guest.until("the second interrupt", |guest| {
        guest.front.interrupts() == 2
    });
    // What is acknowledged after the record was shown is over.
    guest.turn();
    guest.store(regs::IRQ_STATUS, 1);
    guest.until("the end of the cause", |guest| {
        guest.load(regs::IRQ_STATUS) == MARK
    });
    assert_eq!(guest.end().interrupts, 2);
}

#[test]
fn a_stray_is_a_fault_that_is_shown_with_its_record() {
    let mut guest = Guest::new(Profile::Paper);
    guest.program(FIRST + WINDOW);
    guest.until("the record", |guest| guest.word(RECORD + 8) & 1 == 1);
    assert!(is(&guest, regs::STATUS_FAULTED_MASK));
    assert_eq!(guest.load(regs::ERR_CAUSE) & 0xFFF, 0x301);
    assert_eq!(guest.load(regs::ERR_ADDR_LO), (FIRST + WINDOW) as u32);
    guest.until("the interrupt", |guest| guest.front.interrupts() == 1);
    assert!(guest.page.load(test_page::STRAYS) >= 1);
    // Only a reset ends it.
    guest.store(regs::CTRL, STOP);
    guest.turn();
    guest.turn();
    assert!(!is(&guest, regs::STATUS_IDLE_MASK));
    guest.store(regs::CTRL, RESET);
    guest.until("rest", |guest| is(guest, regs::STATUS_IDLE_MASK));
    assert_eq!(guest.load(regs::ERR_CAUSE), 0);
    let report = guest.end();
    assert!(report.stray_dma >= 1);
    assert_eq!(report.strays[0].address, FIRST + WINDOW);
    assert_eq!(report.failure, None);
}

/// With the plugin: what the store has brought about is there when the guest goes on.
#[test]
fn a_counted_store_is_taken_when_its_consequences_are_shown() {
    let mut guest = Guest::new(Profile::Paper);
    guest.good_program();
    guest.page.show(MADE, 7);
    guest.front.attend(&mut guest.device).unwrap();
    assert_eq!(guest.page.load(TAKEN), 0);
    guest.front.show(&mut guest.device).unwrap();
    assert_eq!(guest.page.load(TAKEN), 7);
    assert!(is(&guest, regs::STATUS_RUNNING_MASK));
    guest.until("the cause", |guest| guest.load(regs::IRQ_STATUS) & 1 == 1);
    guest.turn();
    guest.store(regs::IRQ_STATUS, 1);
    guest.page.show(MADE, 8);
    assert!(guest.front.calls());
    guest.turn();
    assert_eq!(
        (guest.page.load(TAKEN), guest.load(regs::IRQ_STATUS)),
        (8, MARK)
    );
    assert_eq!(guest.end().awaited_stores, Some(8));
}

#[test]
fn errors_on_purpose_are_taken_and_the_word_is_free_again() {
    let mut guest = Guest::new(Profile::Paper);
    guest.page.show(test_page::NTH, 0);
    guest.page.show(test_page::INJECT, 0x201);
    guest.turn();
    assert_eq!(guest.page.load(test_page::INJECT), 0);
    guest.good_program();
    guest.until("the record", |guest| guest.word(RECORD + 8) & 1 == 1);
    assert_eq!(guest.load(regs::ERR_CAUSE) & 0xFFF, 0x201);
    guest.page.show(test_page::CLEAR, 1);
    guest.turn();
    assert_eq!(guest.page.load(test_page::CLEAR), 0);
    assert_eq!(guest.end().injections, 1);
}

#[test]
fn a_qemu_that_has_no_such_line_ends_the_simulation() {
    let mut guest = Guest::with_answer(Profile::Paper, "FAIL Unknown device\n");
    guest.good_program();
    for _ in 0..1_000_000 {
        if guest.device.failed() {
            break;
        }
        guest.turn();
    }
    // As on a bus where nobody answers.
    guest.front.show(&mut guest.device).unwrap();
    assert_eq!(guest.load(regs::STATUS), u32::MAX);
    let failure = guest.end().failure.unwrap();
    assert!(failure.contains("found FAIL Unknown device"), "{failure}");
}

#[test]
fn the_end_of_qemu_is_the_end() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    let wire = Qtest::over(ours, "gic inputs 89").unwrap();
    let file = File::from(memfd_create("guest", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(BYTES).unwrap();
    let device = Device::new(Profile::Paper, Memory::Ideal, (FIRST, WINDOW)).unwrap();
    let report = device.serve(&mut Polled::new(Page::new(&file, 0).unwrap(), wire));
    assert_eq!((report.register_writes, report.failure), (0, None));
}
