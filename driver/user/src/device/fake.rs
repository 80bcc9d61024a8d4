//! A platform that keeps a log of what it was asked, and a device that does what the test says.

use std::time::Duration;

use crate::{
    BufferId, BufferUse, Capabilities, Completion, Counters, DeviceFault, DeviceStatus,
    DriverError, Memory, Platform, Profile, Step, View,
};

/// A call of the queue code.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Write {
        buffer: u32,
        offset: u64,
        bytes: usize,
    },
    Read {
        buffer: u32,
        offset: u64,
        bytes: usize,
    },
    Load {
        steps: usize,
    },
    Doorbell(u32),
    Wait {
        steps: u32,
        rows: u32,
    },
    Reset,
}

/// What the next waits do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Everything that was released completes at once.
    Completes,
    /// Exactly the asked rows become done.
    StopsAtRows,
    /// The device halts.
    Faults,
    /// Nothing happens.
    Hangs,
}

pub struct Fake {
    pub caps: Capabilities,
    pub buffers: Vec<(BufferUse, Vec<u8>)>,
    pub limit: usize,
    pub steps: Vec<Step>,
    pub calls: Vec<Call>,
    pub done: Completion,
    pub behaviour: Behaviour,
    pub doorbell: u32,
}

impl Fake {
    pub fn new() -> Self {
        Self {
            caps: Capabilities {
                profile: Profile::Paper,
                ports: 4,
                batch: 1,
                group_size: 64,
                macro_strips: 18,
                fifo_strips: 2048,
                max_k: 8192,
                config_hash: 0,
            },
            buffers: Vec::new(),
            limit: 1 << 24,
            steps: Vec::new(),
            calls: Vec::new(),
            done: Completion {
                steps_done: 0,
                rows_done: 0,
                status: DeviceStatus::Ok,
            },
            behaviour: Behaviour::Completes,
            doorbell: 0,
        }
    }

    /// The log since the last call of this function.
    pub fn taken(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }

    fn range(&mut self, id: BufferId, offset: u64, len: usize) -> Result<&mut [u8], DriverError> {
        let bad = |reason: &str| DriverError::BadBuffer {
            buffer: id.0,
            reason: reason.into(),
        };
        let (_, bytes) = self
            .buffers
            .get_mut(id.0 as usize)
            .ok_or_else(|| bad("unknown"))?;
        bytes
            .get_mut(offset as usize..offset as usize + len)
            .ok_or_else(|| bad("range"))
    }
}

impl Memory for Vec<u8> {
    fn copy(&self, at: u64, out: &mut [u8]) {
        out.copy_from_slice(&self[at as usize..][..out.len()]);
    }
}

impl Platform for Fake {
    fn capabilities(&self) -> Capabilities {
        self.caps
    }

    fn alloc(&mut self, bytes: usize, usage: BufferUse) -> Result<BufferId, DriverError> {
        if bytes > self.limit {
            let (asked, left) = (bytes as u64, self.limit as u64);
            return Err(DriverError::OutOfMemory { asked, left });
        }
        self.limit -= bytes;
        self.buffers.push((usage, vec![0xA5; bytes]));
        Ok(BufferId(self.buffers.len() as u32 - 1))
    }

    fn free(&mut self, _buffer: BufferId) -> Result<(), DriverError> {
        Ok(())
    }

    fn write(&mut self, buffer: BufferId, offset: u64, data: &[u8]) -> Result<(), DriverError> {
        self.fill(buffer, offset, data.len(), &|bytes| {
            bytes.copy_from_slice(data);
        })
    }

    fn fill(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
        f: &dyn Fn(&mut [u8]),
    ) -> Result<(), DriverError> {
        self.calls.push(Call::Write {
            buffer: buffer.0,
            offset,
            bytes,
        });
        f(self.range(buffer, offset, bytes)?);
        Ok(())
    }

    fn view(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
    ) -> Result<View<'_>, DriverError> {
        self.calls.push(Call::Read {
            buffer: buffer.0,
            offset,
            bytes,
        });
        self.range(buffer, offset, bytes)?;
        let memory = &self.buffers[buffer.0 as usize].1;
        Ok(View { memory, at: offset })
    }

    fn load_program(&mut self, steps: &[Step]) -> Result<(), DriverError> {
        self.calls.push(Call::Load { steps: steps.len() });
        self.steps = steps.to_vec();
        self.done = Completion {
            steps_done: 0,
            rows_done: 0,
            status: DeviceStatus::Ok,
        };
        Ok(())
    }

    fn doorbell(&mut self, steps_ready: u32) -> Result<(), DriverError> {
        self.calls.push(Call::Doorbell(steps_ready));
        self.doorbell = steps_ready;
        Ok(())
    }

    fn completion(&mut self) -> Completion {
        self.done
    }

    fn wait(
        &mut self,
        steps: u32,
        rows: u32,
        timeout: Duration,
    ) -> Result<Completion, DriverError> {
        self.calls.push(Call::Wait { steps, rows });
        match self.behaviour {
            Behaviour::Completes => {
                self.done.steps_done = self.doorbell;
                self.done.rows_done = 0;
            }
            Behaviour::StopsAtRows => {
                self.done.steps_done = steps.wrapping_sub(1);
                self.done.rows_done = rows.next_multiple_of(32);
            }
            Behaviour::Faults => {
                self.done.status = DeviceStatus::Faulted;
                return Err(DriverError::Fault {
                    fault: DeviceFault::BusRead {
                        port: 2,
                        address: 0x8_0000_1000,
                    },
                    step: self.done.steps_done,
                });
            }
            Behaviour::Hangs => {
                return Err(DriverError::Timeout {
                    after: timeout,
                    what: format!("step {steps}"),
                    steps_done: self.done.steps_done,
                    rows_done: self.done.rows_done,
                });
            }
        }
        Ok(self.done)
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.calls.push(Call::Reset);
        self.behaviour = Behaviour::Completes;
        Ok(())
    }

    fn elapse(&mut self, _ps: Duration, _bytes: u64) -> Result<(), DriverError> {
        Ok(())
    }

    fn counters(&mut self) -> Result<Counters, DriverError> {
        Ok(Counters {
            steps: u64::from(self.done.steps_done),
            ..Counters::default()
        })
    }
}
