//! Registers without traps: they lie in memory that the guest shares with this process. What the guest loads is what was shown last;
//! what it stores is found by looking. The driver is the one that goes onto the board; which of its accesses this can carry:
//!
//! * *Storage* (ring, completion, attributes, watchdog, interrupt enable): a store is a word that has changed. The same value
//!   again is no news.
//! * *Actions* (CTRL): the word is zero whenever it has been taken, as the device's own reads are.
//! * *Write one to clear* (IRQ_STATUS): a reserved bit is set in what is shown, and no store of the driver has it.
//! * *Doorbell*: counts up; it is zero when the device becomes idle, before the guest can see that.
//! * *Loads that must know of the store before them*: right only if the guest waits after its stores.
//!
//! Two stores to one word between two looks are one: the first is lost. Against that, and for such loads, a plugin of QEMU makes the
//! guest wait after each store of its kernel until it was taken and shown (sim/qemu/plugin). Without it the driver works, but a
//! start that is followed at once by a stop may be lost, and a fault without a record is not told.

mod page;
mod qtest;
mod shown;

use std::time::Duration;

use macromac_driver::DriverError;
use macromac_format::regs;

use crate::device::Device;
use crate::front::{Attended, Front};
use crate::report::Transport;
use crate::test_page;

pub use page::{BYTES, Page};
pub use qtest::Qtest;
use shown::Counter;

/// Reserved bit of IRQ_STATUS: nothing has been stored since this was shown.
const MARK: u32 = 1 << 31;

const CTRL: u64 = regs::CTRL as u64;
const STATUS: u64 = regs::STATUS as u64;
const IRQ_STATUS: u64 = regs::IRQ_STATUS as u64;
const IRQ_ENABLE: u64 = regs::IRQ_ENABLE as u64;
const STEPS_DONE: u64 = regs::STEPS_DONE as u64;
const DOORBELL: u64 = regs::DOORBELL as u64;

/// Words that the plugin shares: how many stores have been made, how many were taken; modulo 2^32.
const MADE: u64 = 0x2FF8;
const TAKEN: u64 = 0x2FFC;

/// Storage that says nothing before the start.
const KEPT: [u32; 7] = [
    regs::RING_BASE_LO,
    regs::RING_BASE_HI,
    regs::RING_STEPS,
    regs::COMPLETION_LO,
    regs::COMPLETION_HI,
    regs::AXI_ATTR,
    regs::WATCHDOG,
];

/// Looks in vain, each with a turn for other threads, before it looks less often.
const EAGER: u32 = 500;
const NAP: Duration = Duration::from_micros(20);

/// One guest with its registers in memory.
pub struct Polled {
    page: Page,
    wire: Qtest,
    /// Words as they were last seen or shown: a different one is a store.
    kept: [u32; KEPT.len()],
    enable: u32,
    pending: u32,
    doorbell: u32,
    status: u32,
    counters: Vec<Counter>,
    steps: u32,
    begun: bool,
    /// Stores that were made before the last look.
    made: u32,
    /// The device has been told something that is not shown yet.
    told: bool,
    /// A stop or a reset has not come to its end.
    ending: bool,
    /// A record was shown after the last look.
    fresh: bool,
    /// The guest has acknowledged an interrupt: if the line is still high it needs another edge.
    acknowledged: bool,
    level: bool,
    awake: bool,
    in_vain: u32,
    lost: u64,
}

impl Polled {
    /// A guest whose registers are these, and whose interrupt is this line.
    pub fn new(page: Page, wire: Qtest) -> Self {
        Self {
            page,
            wire,
            kept: [0; KEPT.len()],
            enable: 0,
            pending: MARK,
            doorbell: 0,
            status: 0,
            counters: Counter::all(),
            steps: 0,
            begun: false,
            made: 0,
            told: true,
            ending: false,
            fresh: false,
            acknowledged: false,
            level: false,
            awake: false,
            in_vain: 0,
            lost: 0,
        }
    }

    /// Stores to the test page, which come from a program of the guest's, long apart.
    fn attend_tests(&mut self, device: &mut Device) -> Result<bool, DriverError> {
        let mut any = false;
        for at in [test_page::CLEAR, test_page::INJECT] {
            let value = self.page.load(at);
            if value != 0 {
                device.store_word(test_page::NTH, self.page.load(test_page::NTH))?;
                device.store_word(at, value)?;
                // The guest waits for the zero.
                self.page.exchange(at, value, 0);
                any = true;
            }
        }
        Ok(any)
    }

    /// Finds stores to the device and makes them, in an order in which the driver may have made them.
    fn attend_device(&mut self, device: &mut Device) -> Result<bool, DriverError> {
        // What the driver stores last is looked at first: who finds a doorbell finds the start before it.
        let doorbell = self.page.load(DOORBELL);
        let (action, start) = self.take_action();
        let enable = self.page.load(IRQ_ENABLE);
        let cleared = self.page.load(IRQ_STATUS);
        let kept = KEPT.map(|register| self.page.load(register.into()));
        let unseen = std::mem::take(&mut self.fresh) || device.memory().holds();
        let mut any = false;
        let mut store = |at: u64, value: u32| {
            any = true;
            device.store_word(at, value)
        };

        // A reset is followed by stores for the next program, a start follows them.
        if action != 0 {
            store(CTRL, action)?;
        }
        for ((known, value), register) in self.kept.iter_mut().zip(kept).zip(KEPT) {
            if std::mem::replace(known, value) != value {
                store(register.into(), value)?;
            }
        }
        if cleared & MARK == 0 {
            // A step whose record the guest cannot have seen when it stored this is not cleared by it: rather one
            // interrupt too many than a sleeper that nobody wakes.
            let step = if unseen {
                regs::IRQ_STATUS_STEP_DONE_MASK
            } else {
                0
            };
            store(IRQ_STATUS, cleared & !step)?;
            self.pending = cleared;
            self.acknowledged = true;
        }
        if std::mem::replace(&mut self.enable, enable) != enable {
            store(IRQ_ENABLE, enable)?;
        }
        if start != 0 {
            any = true;
            device.memory().hold(self.record());
            self.steps = 0;
            self.page.show(STEPS_DONE, 0);
            device.store_word(CTRL, start)?;
        }
        if doorbell != self.doorbell {
            any = true;
            if self.status & regs::STATUS_IDLE_MASK == 0 {
                device.store_word(DOORBELL, doorbell)?;
                self.doorbell = doorbell;
            } else {
                // Of a start that was overwritten.
                self.page.exchange(DOORBELL, doorbell, self.doorbell);
                self.lost += 1;
            }
        }
        Ok(any)
    }

    /// Takes what is in CTRL: a stop or a reset, or a start; the other one is zero.
    fn take_action(&mut self) -> (u32, u32) {
        let ctrl = self.page.load(CTRL);
        if ctrl == 0 {
            return (0, 0);
        }
        self.ending = true;
        if ctrl & regs::CTRL_START_MASK == 0 {
            self.page.exchange(CTRL, ctrl, 0);
            return (ctrl, 0);
        }
        // Shown before it is taken: whoever stores a stop from now on waits for it.
        self.status = regs::STATUS_RUNNING_MASK;
        self.page.show(STATUS, self.status);
        if self.page.exchange(CTRL, ctrl, 0) {
            self.ending = false;
            return (0, ctrl);
        }
        // A stop has come already, whose sender may have seen a device at rest: it must stay at rest.
        self.lost += 1;
        (0, 0)
    }

    /// Where the guest wants completion records.
    fn record(&self) -> u64 {
        let [_, _, _, low, high, ..] = self.kept;
        u64::from(high) << 32 | u64::from(low)
    }
}

impl Front for Polled {
    fn transport(&self) -> Transport {
        Transport::PolledMemory
    }

    fn attend(&mut self, device: &mut Device) -> Result<Attended, DriverError> {
        match self.wire.end() {
            None => {}
            Some(Some(answer)) if !device.failed() => {
                return Err(DriverError::Simulation(format!(
                    "QEMU does not take the interrupt: expected OK, found {answer}"
                )));
            }
            Some(_) => return Ok(Attended::Gone),
        }
        if !self.begun && !device.failed() {
            self.begin(device)?;
        }
        // Before the looks: they find every store that is counted here.
        self.made = self.page.load(MADE);
        let any = !device.failed() && self.attend_tests(device)? | self.attend_device(device)?;
        self.told |= any;
        if any || device.awake() {
            self.in_vain = 0;
        } else if self.in_vain < EAGER {
            self.in_vain += 1;
            std::thread::yield_now();
        } else {
            std::thread::sleep(NAP);
        }
        Ok(if any {
            Attended::Something
        } else {
            Attended::Nothing
        })
    }

    fn calls(&self) -> bool {
        self.page.load(MADE) != self.made
            || self.page.load(DOORBELL) != self.doorbell
            || self.page.load(CTRL) != 0
            || self.page.load(IRQ_ENABLE) != self.enable
            || self.page.load(IRQ_STATUS) & MARK == 0
            || self.page.load(test_page::INJECT) != 0
            || self.page.load(test_page::CLEAR) != 0
    }

    fn show(&mut self, device: &mut Device) -> Result<(), DriverError> {
        if device.failed() {
            self.page.dead();
        } else {
            self.show_news(device)?;
        }
        self.page.show(TAKEN, self.made);
        Ok(())
    }

    fn lost_stores(&self) -> u64 {
        self.lost
    }

    fn awaited_stores(&self) -> Option<u32> {
        Some(self.made)
    }

    fn interrupts(&self) -> u64 {
        self.wire.edges
    }
}

#[cfg(test)]
mod tests;
