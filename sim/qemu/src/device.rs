//! The device's thread: the model and its clock.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use macromac_board::axi::{Attributes, LiteRequest};
use macromac_board::machine::Machine;
use macromac_board::{BoardConfig, DdrRate};
use macromac_driver::{DriverError, Profile};
use macromac_format::regs;

use crate::front::{Attended, Front};
use crate::guest::GuestMemory;
use crate::report::Report;
use crate::test_page;

/// Cycles between two looks at the requests.
const SLICE: u64 = 64;
/// Cycles without a beat after which the device is asked whether it waits for the guest.
const QUIET: u64 = 512;
/// Cycles without a beat after which a device that waits for a memory that does not answer, without a watchdog, is left alone.
const STUCK: u64 = 200_000;

/// Memory behind the device's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Memory {
    /// A fixed latency, no gaps
    Ideal,
    /// The board's DDR4, bank by bank
    Ddr4,
}

/// The model and what the guest has told it.
pub struct Device {
    profile: Profile,
    memory: Memory,
    machine: Machine<GuestMemory>,
    /// As last stored.
    attributes: u32,
    doorbell: u32,
    watchdog: u32,
    /// For the test page.
    nth: u32,
    /// Beats of all ports when they were last looked at, and the cycle since which they have not changed.
    beats: u64,
    quiet_since: u64,
    awake: bool,
    /// Clocks and time of models before the last reset.
    before: (u64, u64),
    report: Report,
}

fn config(profile: Profile, memory: Memory) -> BoardConfig {
    let config = match memory {
        Memory::Ideal => BoardConfig::ideal(),
        Memory::Ddr4 => BoardConfig::ddr4(DdrRate::Mt2133, 1),
    };
    config.with_profile(profile)
}

impl Device {
    /// The device of a profile after power-up; of the guest's memory it may touch the window (first address, bytes).
    pub fn new(profile: Profile, memory: Memory, window: (u64, u64)) -> Result<Self> {
        let machine = Machine::new(config(profile, memory), GuestMemory::new(window))?;
        Ok(Self {
            profile,
            memory,
            machine,
            attributes: regs::AXI_ATTR_RESET,
            doorbell: 0,
            watchdog: 0,
            nth: 0,
            beats: 0,
            quiet_since: 0,
            awake: false,
            before: (0, 0),
            report: Report {
                profile: profile.name(),
                ..Report::default()
            },
        })
    }

    /// Serves a guest until it is gone; the clock runs in between while something can change.
    pub fn serve(mut self, front: &mut impl Front) -> Report {
        while self.turn(front) {}
        self.report(front)
    }

    /// One look at the guest, and some cycles; false: the guest is gone.
    pub fn turn(&mut self, front: &mut impl Front) -> bool {
        let result = match front.attend(self) {
            Ok(Attended::Gone) => return false,
            Ok(Attended::Nothing) if self.awake => self.advance(front),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        self.note(result);
        let result = front.show(self);
        self.note(result);
        true
    }

    /// What was counted.
    pub fn report(mut self, front: &impl Front) -> Report {
        self.report.transport = front.transport();
        self.report.clocks = self.clocks();
        self.report.simulated_s = (self.before.1 + self.machine.wall_ns()) as f64 / 1e9;
        self.report.interrupts = front.interrupts();
        self.report.lost_stores = front.lost_stores();
        self.report.awaited_stores = front.awaited_stores();
        self.report.stray_dma = self.machine.space.stray_count;
        self.report.strays = std::mem::take(&mut self.machine.space.strays);
        self.report
    }

    /// Does the clock run?
    pub fn awake(&self) -> bool {
        self.awake
    }

    /// Has the simulation failed? Nothing is simulated any more then.
    pub fn failed(&self) -> bool {
        self.report.failure.is_some()
    }

    /// The interrupt line.
    pub fn irq(&self) -> bool {
        self.machine.irq()
    }

    /// The guest's memory.
    pub fn memory(&mut self) -> &mut GuestMemory {
        &mut self.machine.space
    }

    fn clocks(&self) -> u64 {
        self.before.0 + self.machine.cycle()
    }

    /// After a failure nothing is simulated any more; loads give ones, so that the guest's driver gives up.
    fn note(&mut self, result: Result<(), DriverError>) {
        if let Err(error) = result {
            self.awake = false;
            self.report.failure.get_or_insert_with(|| error.to_string());
        }
    }

    /// A load that the guest has waited for.
    pub fn note_load(&mut self, waited: Duration) {
        let longest = self.report.longest_load_ms.unwrap_or(0.0);
        self.report.longest_load_ms = Some(longest.max(waited.as_secs_f64() * 1e3));
    }

    /// The words of an access, as offsets of registers; `None` if it is none of whole words.
    fn words(offset: u64, bytes: usize) -> Option<impl Iterator<Item = u64>> {
        let whole = matches!(bytes, 4 | 8) && offset % 4 == 0;
        whole.then(|| (0..bytes as u64 / 4).map(move |word| offset + 4 * word))
    }

    /// A load of the guest; ones if it is none of whole words.
    ///
    /// # Errors
    /// If the simulation fails, or has failed.
    pub fn load(&mut self, offset: u64, bytes: usize) -> Result<u64, DriverError> {
        let Some(words) = Self::words(offset, bytes) else {
            self.report.odd_accesses += 1;
            return Ok(u64::MAX);
        };
        let mut value = 0;
        for (index, at) in words.enumerate() {
            self.report.register_reads += u64::from(at < test_page::BASE);
            value |= u64::from(self.peek(at)?) << (32 * index);
        }
        Ok(value)
    }

    /// What a load would give, without being one of the guest's.
    ///
    /// # Errors
    /// If the simulation fails, or has failed.
    pub fn peek(&mut self, at: u64) -> Result<u32, DriverError> {
        if at < test_page::BASE {
            let value = self.machine.access(LiteRequest::Read(at as u16))?;
            if at == u64::from(regs::STATUS) && value & regs::STATUS_IDLE_MASK != 0 {
                self.machine.check_idle()?;
            }
            return Ok(value);
        }
        Ok(match at {
            test_page::STRAYS => self.machine.space.stray_count as u32,
            test_page::TRAPS => (self.report.register_reads + self.report.register_writes) as u32,
            test_page::CLOCKS => self.clocks() as u32,
            test_page::AWAKE => u32::from(self.awake),
            _ => 0,
        })
    }

    /// A store of the guest; nothing happens if it is none of whole words.
    ///
    /// # Errors
    /// If the simulation fails, or has failed.
    pub fn store(&mut self, offset: u64, bytes: usize, value: u64) -> Result<(), DriverError> {
        let Some(words) = Self::words(offset, bytes) else {
            self.report.odd_accesses += 1;
            return Ok(());
        };
        for (index, at) in words.enumerate() {
            self.store_word(at, (value >> (32 * index)) as u32)?;
        }
        Ok(())
    }

    /// A store of a word.
    ///
    /// # Errors
    /// If the simulation fails, or has failed.
    pub fn store_word(&mut self, at: u64, value: u32) -> Result<(), DriverError> {
        // Whatever it is, it may give the device something to do.
        self.wake();
        match at {
            test_page::NTH => self.nth = value,
            test_page::INJECT => {
                if let Some(injection) = test_page::injection(value, self.nth) {
                    self.machine.injector.add(injection);
                    self.report.injections += 1;
                }
            }
            test_page::CLEAR => self.machine.injector.clear(),
            at if at >= test_page::BASE => {}
            at => {
                self.report.register_writes += 1;
                self.report.doorbell_writes += u64::from(at >= u64::from(regs::DOORBELL));
                self.note_store(at as u32, value);
                self.machine.access(LiteRequest::Write(at as u16, value))?;
            }
        }
        Ok(())
    }

    /// What stores say about the coming cycles.
    fn note_store(&mut self, register: u32, value: u32) {
        match register {
            regs::DOORBELL => self.doorbell = value,
            regs::WATCHDOG => self.watchdog = value,
            regs::AXI_ATTR => self.attributes = value,
            regs::CTRL => {
                if value & (regs::CTRL_START_MASK | regs::CTRL_SOFT_RESET_MASK) != 0 {
                    self.doorbell = 0;
                }
                if value & regs::CTRL_START_MASK != 0 && self.machine.outstanding() == 0 {
                    let bits = |shift: u32, mask: u32| ((self.attributes & mask) >> shift) as u8;
                    let weights = Attributes {
                        cache: bits(
                            regs::AXI_ATTR_WEIGHT_CACHE_SHIFT,
                            regs::AXI_ATTR_WEIGHT_CACHE_MASK,
                        ),
                        prot: bits(
                            regs::AXI_ATTR_WEIGHT_PROT_SHIFT,
                            regs::AXI_ATTR_WEIGHT_PROT_MASK,
                        ),
                    };
                    let data = Attributes {
                        cache: bits(
                            regs::AXI_ATTR_DATA_CACHE_SHIFT,
                            regs::AXI_ATTR_DATA_CACHE_MASK,
                        ),
                        prot: bits(
                            regs::AXI_ATTR_DATA_PROT_SHIFT,
                            regs::AXI_ATTR_DATA_PROT_MASK,
                        ),
                    };
                    self.machine.set_attributes(weights, data);
                }
            }
            _ => {}
        }
    }

    fn wake(&mut self) {
        self.awake = self.report.failure.is_none();
        self.quiet_since = self.machine.cycle();
    }

    /// Some cycles; then decides whether any more are worth it.
    ///
    /// # Errors
    /// If the simulation fails, or has failed.
    pub fn advance(&mut self, front: &impl Front) -> Result<(), DriverError> {
        let stop = |machine: &mut Machine<GuestMemory>| front.calls() || machine.space.holds();
        self.machine.run(SLICE, stop)?;
        let beats = self.machine.beats_read().iter().sum::<u64>() + self.machine.beats_written();
        let now = self.machine.cycle();
        if beats != self.beats {
            self.beats = beats;
            self.quiet_since = now;
        } else if now - self.quiet_since >= QUIET {
            self.awake = self.has_work(now - self.quiet_since)?;
            // Asking costs cycles, too: not after every slice of a long computation.
            if self.awake && self.machine.outstanding() == 0 && now - self.quiet_since < STUCK {
                self.machine.run(QUIET, stop)?;
            }
        }
        Ok(())
    }

    /// Can anything change before the guest's next store? Asked when no beat has moved for `quiet` cycles.
    fn has_work(&mut self, quiet: u64) -> Result<bool, DriverError> {
        let status = self
            .machine
            .access(LiteRequest::Read(regs::STATUS as u16))?;
        let done = self
            .machine
            .access(LiteRequest::Read(regs::STEPS_DONE as u16))?;
        let is = |mask: u32| status & mask != 0;
        if is(regs::STATUS_DRAINING_MASK) {
            // It ends when the bus answers; a port that hangs does not, and draining has no watchdog.
            return Ok(quiet < STUCK);
        }
        if !is(regs::STATUS_RUNNING_MASK) {
            return Ok(false);
        }
        let released = (self.doorbell.wrapping_sub(done) as i32) > 0;
        Ok(released && (self.watchdog != 0 || quiet < STUCK))
    }

    /// Power-on reset; the guest's memory stays.
    ///
    /// # Errors
    /// If there is no such device, or it breaks a rule in reset.
    pub fn power_on_reset(&mut self) -> Result<(), DriverError> {
        // QEMU resets before the guest's first access, too.
        if self.report.register_writes == 0 {
            return Ok(());
        }
        let fresh = Machine::new(
            config(self.profile, self.memory),
            GuestMemory::new((0, 4096)),
        )?;
        let old = std::mem::replace(&mut self.machine, fresh);
        self.before.0 += old.cycle();
        self.before.1 += old.wall_ns();
        self.machine.space = old.space;
        (self.doorbell, self.watchdog, self.attributes) = (0, 0, regs::AXI_ATTR_RESET);
        (self.beats, self.quiet_since) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
