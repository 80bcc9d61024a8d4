//! The calls of the queue code.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::kernel::Kernel;
use super::order::{now_ns, observe, publish};
use super::{Buffer, LinuxPlatform, ROWS_SLICE, WATCH, WHOLE_STEP, fault, uapi};
use crate::rules::NO_SUCH_BUFFER;
use crate::{
    BufferId, BufferUse, Capabilities, Completion, Counters, DeviceStatus, DriverError, Memory,
    Platform, PortStalls, Step, SystemCalls, View,
};

fn no_program() -> DriverError {
    DriverError::Sequence("no program is loaded: load one first".into())
}

fn reached(seen: &Completion, steps: u32, rows: u32) -> bool {
    let lead = seen.steps_done.wrapping_sub(steps) as i32;
    lead >= 0 || (lead == -1 && seen.rows_done >= rows)
}

impl Memory for Buffer {
    fn copy(&self, at: u64, out: &mut [u8]) {
        let inside = at.checked_add(out.len() as u64);
        assert!(inside.is_some_and(|end| end <= self.bytes), "{at} and on");
        // SAFETY: the range is inside the mapping; what the record has reported the device does not write again before the
        // next doorbell, and nobody else writes to what the device does.
        unsafe {
            let from = self.map.as_ptr().add(at as usize);
            std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len());
        }
    }
}

impl<K: Kernel> Platform for LinuxPlatform<K> {
    fn capabilities(&self) -> Capabilities {
        self.caps
    }

    fn alloc(&mut self, bytes: usize, usage: BufferUse) -> Result<BufferId, DriverError> {
        let mut create = uapi::macromac_buffer_create {
            size: size_of::<uapi::macromac_buffer_create>() as u32,
            usage: match usage {
                BufferUse::Weights => uapi::MACROMAC_WEIGHTS,
                BufferUse::Activations => uapi::MACROMAC_ACTIVATIONS,
                BufferUse::Results => uapi::MACROMAC_RESULTS,
            },
            bytes: bytes.max(1) as u64,
            ..Default::default()
        };
        self.calls.others += 1;
        if let Err(error) = self.kernel.call(&mut create) {
            if Errno::from_io_error(&error) != Some(Errno::NOMEM) {
                return Err(self.system::<uapi::macromac_buffer_create>(error));
            }
            let mut query = uapi::macromac_query {
                size: size_of::<uapi::macromac_query>() as u32,
                ..Default::default()
            };
            self.call(&mut query)?;
            return Err(DriverError::OutOfMemory {
                asked: bytes as u64,
                left: query.buffer_bytes_left,
            });
        }
        let id = BufferId(create.handle);
        match self
            .kernel
            .map(create.mmap_offset, create.bytes as usize, true)
        {
            Ok(map) => {
                let buffer = Buffer {
                    usage,
                    bytes: bytes as u64,
                    map,
                };
                self.buffers.insert(id.0, buffer);
                Ok(id)
            }
            Err(error) => {
                // It cannot be used, and the first error is the one to tell.
                let _ = self.free(id);
                Err(DriverError::System {
                    device: self.device.clone(),
                    call: "mmap",
                    error,
                })
            }
        }
    }

    fn free(&mut self, buffer: BufferId) -> Result<(), DriverError> {
        let bad = |reason: &str| DriverError::BadBuffer {
            buffer: buffer.0,
            reason: reason.into(),
        };
        let mut free = uapi::macromac_buffer_free {
            size: size_of::<uapi::macromac_buffer_free>() as u32,
            handle: buffer.0,
        };
        self.calls.others += 1;
        match self.kernel.call(&mut free) {
            Ok(()) => {
                self.buffers.remove(&buffer.0);
                Ok(())
            }
            Err(error) => Err(match Errno::from_io_error(&error) {
                Some(Errno::BUSY) => bad("the loaded program uses it: load another or reset first"),
                Some(Errno::NOENT) => bad(NO_SUCH_BUFFER),
                _ => self.system::<uapi::macromac_buffer_free>(error),
            }),
        }
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
        let (found, to) = self.range(buffer, offset, bytes)?;
        let usage = found.usage;
        // SAFETY: the range is inside the mapping, which only the device also touches, and not before the doorbell; nothing else of
        // this process looks at it, since `self` is borrowed.
        f(unsafe { std::slice::from_raw_parts_mut(to, bytes) });
        // The weight ports never see the caches.
        if usage == BufferUse::Weights || !self.coherent {
            self.sync(buffer, offset, bytes, uapi::MACROMAC_SYNC_FOR_DEVICE)?;
        }
        Ok(())
    }

    fn view(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
    ) -> Result<View<'_>, DriverError> {
        self.range(buffer, offset, bytes)?;
        if !self.coherent {
            self.sync(buffer, offset, bytes, uapi::MACROMAC_SYNC_FOR_CPU)?;
        }
        let (memory, _) = self.range(buffer, offset, bytes)?;
        Ok(View { memory, at: offset })
    }

    fn load_program(&mut self, steps: &[Step]) -> Result<(), DriverError> {
        let steps_in: Vec<uapi::macromac_step> = steps.iter().map(fault::step).collect();
        let mut load = uapi::macromac_program_load {
            size: size_of::<uapi::macromac_program_load>() as u32,
            step_count: u32::try_from(steps.len()).unwrap_or(u32::MAX),
            steps: steps_in.as_ptr() as u64,
            step_size: size_of::<uapi::macromac_step>() as u32,
            ..Default::default()
        };
        // To the kernel no steps mean something else: the end of the program.
        if steps.is_empty() || steps.len() > self.max_steps {
            return Err(fault::bad_count(steps.len(), self.max_steps));
        }
        let result = self.kernel.call(&mut load);
        let Err(error) = result else {
            self.loaded = true;
            self.calls = SystemCalls::default();
            return Ok(());
        };
        Err(match Errno::from_io_error(&error) {
            Some(Errno::INVAL) if load.bad_rule != 0 => {
                let buffers = &self.buffers;
                let known = |id: u32| buffers.get(&id).map(|b| (b.usage, b.map.len() as u64));
                fault::bad_step(&load, steps, &self.caps, self.max_steps, known)
            }
            Some(Errno::BUSY) => DriverError::Unavailable(format!(
                "{}: another program uses the accelerator; wait until it ends",
                self.device
            )),
            Some(Errno::IO) => self.halted(),
            _ => self.system::<uapi::macromac_program_load>(error),
        })
    }

    fn doorbell(&mut self, steps_ready: u32) -> Result<(), DriverError> {
        if !self.loaded {
            return Err(no_program());
        }
        publish();
        // SAFETY: the doorbell register is the first word of its page, which is there while a program is loaded.
        unsafe {
            self.doorbell
                .as_mut_ptr()
                .cast::<u32>()
                .write_volatile(steps_ready)
        };
        Ok(())
    }

    fn completion(&mut self) -> Completion {
        let (steps_done, rows_done, status) = if self.loaded {
            let progress = self.progress();
            // What the progress promises (status, results) is loaded after it.
            observe();
            (progress as u32, (progress >> 32) as u32, self.status())
        } else {
            (0, 0, 0)
        };
        Completion {
            steps_done,
            rows_done,
            status: if status & 1 == 0 {
                DeviceStatus::Ok
            } else {
                DeviceStatus::Faulted
            },
        }
    }

    fn wait(
        &mut self,
        steps: u32,
        rows: u32,
        timeout: Duration,
    ) -> Result<Completion, DriverError> {
        if !self.loaded {
            return Err(no_program());
        }
        let begun = Instant::now();
        loop {
            let seen = self.completion();
            if reached(&seen, steps, rows) {
                return Ok(seen);
            }
            if seen.status == DeviceStatus::Faulted {
                return Err(self.halted());
            }
            if begun.elapsed() >= WATCH.min(timeout) {
                break;
            }
            std::hint::spin_loop();
        }
        let left = i64::try_from(timeout.saturating_sub(begun.elapsed()).as_nanos());
        let deadline = now_ns().saturating_add(left.unwrap_or(i64::MAX));
        loop {
            let until = match rows {
                WHOLE_STEP => deadline,
                _ => deadline.min(now_ns() + ROWS_SLICE.as_nanos() as i64),
            };
            let mut wait = uapi::macromac_wait {
                size: size_of::<uapi::macromac_wait>() as u32,
                steps,
                rows,
                deadline_ns: until,
                ..Default::default()
            };
            self.calls.waits += 1;
            let result = self.kernel.call(&mut wait);
            let error = result.err().and_then(|e| Errno::from_io_error(&e));
            match error {
                None | Some(Errno::TIMEDOUT | Errno::INTR) => {}
                Some(Errno::IO) => return Err(self.halted()),
                Some(other) => return Err(self.system::<uapi::macromac_wait>(other.into())),
            }
            observe();
            let seen = match error {
                Some(Errno::INTR) => self.completion(),
                _ => Completion {
                    steps_done: wait.steps_done,
                    rows_done: wait.rows_done,
                    status: DeviceStatus::Ok,
                },
            };
            if reached(&seen, steps, rows) {
                return Ok(seen);
            }
            if now_ns() >= deadline {
                return Err(DriverError::Timeout {
                    after: timeout,
                    what: format!("step {steps} is not complete, or less than {rows} of its rows"),
                    steps_done: seen.steps_done,
                    rows_done: seen.rows_done,
                });
            }
        }
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.loaded = false;
        let mut reset = uapi::macromac_reset {
            size: size_of::<uapi::macromac_reset>() as u32,
            flags: 0,
        };
        self.call(&mut reset)
    }

    fn elapse(&mut self, _ps: Duration, _bytes: u64) -> Result<(), DriverError> {
        Ok(())
    }

    fn counters(&mut self) -> Result<Counters, DriverError> {
        let mut stats = uapi::macromac_stats {
            size: size_of::<uapi::macromac_stats>() as u32,
            ..Default::default()
        };
        // Not counted: whoever asks for counts should not find the asking among them.
        self.kernel
            .call(&mut stats)
            .map_err(|error| self.system::<uapi::macromac_stats>(error))?;
        let ports = &stats.port;
        Ok(Counters {
            cycles: stats.cycles,
            stream_cycles: stats.stream_cycles,
            steps: stats.steps,
            weight_bytes: 16 * ports.iter().map(|port| port.beats).sum::<u64>(),
            strips: std::array::from_fn(|port| ports[port].strips),
            stalls: std::array::from_fn(|port| PortStalls {
                no_data: ports[port].no_data,
                no_activations: ports[port].no_activations,
                no_room: ports[port].no_room,
                lock_step: ports[port].lock_step,
            }),
            system_calls: self.calls,
            sim_wall_ns: 0,
        })
    }
}
