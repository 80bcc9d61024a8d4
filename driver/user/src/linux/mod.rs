//! The platform of the board: the kernel module's device file.
//!
//! Buffers, the doorbell page and the completion page are mapped once. A step then costs no system call: activations are copied,
//! a store rings the doorbell, loads watch the completion record; only a step that takes longer than the processor is willing to
//! watch costs one call, to sleep. Where the data port does not see the processor's caches, the kernel cleans and invalidates
//! them, which costs two more a step.

mod fault;
mod kernel;
#[cfg(test)]
mod tests;
#[rustfmt::skip]
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
mod uapi;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use memmap2::MmapRaw;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::rules::NO_SUCH_BUFFER;
use crate::{
    BufferId, BufferUse, Capabilities, Completion, Counters, DeviceStatus, DriverError, Platform,
    PortStalls, Profile, Step, SystemCalls,
};
use kernel::{DeviceFile, Kernel, Request};

/// Where the kernel module puts the first device.
pub const DEFAULT_DEVICE: &str = "/dev/macromac0";

/// How long the completion record is watched before the kernel is asked to wait: longer than most steps take on the board.
const WATCH: Duration = Duration::from_micros(100);
/// The kernel looks at rows only when the step ends: a wait for rows asks it for no more than this at a time.
const ROWS_SLICE: Duration = Duration::from_micros(500);
/// `rows` of a wait for the whole step.
const WHOLE_STEP: u32 = u32::MAX;
/// Bytes of a mapped page.
const PAGE: usize = 4096;

/// The accelerator behind `/dev/macromac0`.
pub struct LinuxPlatform<K: Kernel = DeviceFile> {
    kernel: K,
    device: String,
    caps: Capabilities,
    coherent: bool,
    max_steps: usize,
    doorbell: MmapRaw,
    record: MmapRaw,
    buffers: HashMap<u32, Buffer>,
    /// The two pages are there only while this process has a program loaded.
    loaded: bool,
    calls: SystemCalls,
}

struct Buffer {
    usage: BufferUse,
    bytes: u64,
    map: MmapRaw,
}

impl LinuxPlatform {
    /// Opens a device of the kernel module.
    ///
    /// # Errors
    /// [`DriverError::Unavailable`] if there is no such device or this user may not use it, [`DriverError::Capability`] if module
    /// or device are of another version.
    pub fn open(path: &Path) -> Result<Self, DriverError> {
        let name = path.display().to_string();
        let file = DeviceFile::open(path).map_err(|error| unavailable(&name, &error))?;
        Self::new(file, name)
    }
}

fn unavailable(device: &str, error: &io::Error) -> DriverError {
    DriverError::Unavailable(match error.kind() {
        ErrorKind::NotFound => format!(
            "{device}: expected the accelerator's device file, found none; load the kernel module (modprobe macromac) and see that \
             the device tree has its node (dmesg)"
        ),
        ErrorKind::PermissionDenied => format!(
            "{device}: expected permission to read and write, found none; join the group that owns it (ls -l {device})"
        ),
        ErrorKind::ResourceBusy => {
            format!("{device}: another program uses the accelerator; wait until it ends")
        }
        _ => format!("{device}: cannot be opened: {error}; the kernel's log (dmesg) may say more"),
    })
}

impl<K: Kernel> LinuxPlatform<K> {
    fn new(kernel: K, device: String) -> Result<Self, DriverError> {
        let mut query = uapi::macromac_query {
            size: size_of::<uapi::macromac_query>() as u32,
            ..Default::default()
        };
        kernel.call(&mut query).map_err(|error| {
            DriverError::Unavailable(format!(
                "{device}: expected a device of the module macromac, found one that does not answer as such ({error}); give \
                 another with --device"
            ))
        })?;
        if query.uapi_version < uapi::MACROMAC_UAPI_VERSION {
            return Err(DriverError::Capability(format!(
                "{device}: this program needs version {} of the kernel module's interface, found {}; install the module that came \
                 with the program",
                uapi::MACROMAC_UAPI_VERSION,
                query.uapi_version
            )));
        }
        let map = |offset: u32, write| {
            kernel
                .map(offset.into(), PAGE, write)
                .map_err(|error| DriverError::System {
                    device: device.clone(),
                    call: "mmap",
                    error,
                })
        };
        let doorbell = map(uapi::MACROMAC_MMAP_DOORBELL, true)?;
        let record = map(uapi::MACROMAC_MMAP_COMPLETION, false)?;
        Ok(Self {
            caps: capabilities(&query)?,
            coherent: query.coherency == uapi::MACROMAC_COHERENT,
            max_steps: query.max_steps as usize,
            kernel,
            device,
            doorbell,
            record,
            buffers: HashMap::new(),
            loaded: false,
            calls: SystemCalls::default(),
        })
    }

    /// System calls since the program was loaded.
    pub fn system_calls(&self) -> SystemCalls {
        self.calls
    }

    /// Does the device see the processor's caches?
    pub fn coherent(&self) -> bool {
        self.coherent
    }

    /// A call that has no errors of its own.
    fn call<R: Request>(&mut self, request: &mut R) -> Result<(), DriverError> {
        self.calls.others += 1;
        self.kernel
            .call(request)
            .map_err(|error| self.system::<R>(error))
    }

    fn system<R: Request>(&self, error: io::Error) -> DriverError {
        DriverError::System {
            device: self.device.clone(),
            call: R::NAME,
            error,
        }
    }

    /// A range of a buffer in this process's memory.
    fn range(
        &self,
        id: BufferId,
        offset: u64,
        bytes: usize,
    ) -> Result<(&Buffer, *mut u8), DriverError> {
        let bad = |reason| DriverError::BadBuffer {
            buffer: id.0,
            reason,
        };
        let buffer = self
            .buffers
            .get(&id.0)
            .ok_or_else(|| bad(NO_SUCH_BUFFER.into()))?;
        match offset.checked_add(bytes as u64) {
            // SAFETY: the mapping holds the buffer's bytes, and the range lies in them.
            Some(end) if end <= buffer.bytes => Ok((buffer, unsafe {
                buffer.map.as_mut_ptr().add(offset as usize)
            })),
            _ => Err(bad(format!(
                "{bytes} bytes from offset {offset} on are outside, it has {} bytes",
                buffer.bytes
            ))),
        }
    }

    /// Cache maintenance of a range, where it is needed.
    fn sync(
        &mut self,
        id: BufferId,
        offset: u64,
        bytes: usize,
        direction: u32,
    ) -> Result<(), DriverError> {
        let mut sync = uapi::macromac_buffer_sync {
            size: size_of::<uapi::macromac_buffer_sync>() as u32,
            handle: id.0,
            offset,
            bytes: bytes as u64,
            direction,
            pad: 0,
        };
        self.calls.syncs += 1;
        self.kernel
            .call(&mut sync)
            .map_err(|error| self.system::<uapi::macromac_buffer_sync>(error))
    }

    /// The completion record's first two words, steps done below rows done. One load: they must be of the same record.
    fn progress(&self) -> u64 {
        // SAFETY: the record's page is mapped and is there while a program is loaded, which the callers have seen.
        unsafe { self.record.as_ptr().cast::<u64>().read_volatile() }
    }

    /// Its third word.
    fn status(&self) -> u32 {
        // SAFETY: as above.
        unsafe { self.record.as_ptr().cast::<u32>().add(2).read_volatile() }
    }

    /// The error that goes with a halted device.
    fn halted(&mut self) -> DriverError {
        let step = self.completion().steps_done;
        let mut fault = uapi::macromac_fault {
            size: size_of::<uapi::macromac_fault>() as u32,
            ..Default::default()
        };
        match self.call(&mut fault) {
            Ok(()) => fault::error(&fault, step),
            Err(error) => error,
        }
    }
}

fn capabilities(query: &uapi::macromac_query) -> Result<Capabilities, DriverError> {
    let profile = match query.arithmetic {
        0 => Profile::Paper,
        1 => Profile::Kv260,
        other => {
            return Err(DriverError::Capability(format!(
                "arithmetic {other} is unknown to this software, it knows 0 (paper) and 1 (kv260)"
            )));
        }
    };
    Ok(Capabilities {
        profile,
        ports: query.ports,
        batch: query.batch,
        group_size: query.group_size,
        macro_strips: query.macro_strips,
        fifo_strips: query.fifo_strips,
        max_k: query.max_groups.saturating_mul(query.group_size),
        config_hash: query.config_hash,
    })
}

fn no_program() -> DriverError {
    DriverError::Sequence("no program is loaded: load one first".into())
}

/// What was stored to memory before is there for every device after.
fn publish() {
    // The compiler's barrier is for the inner domain; a device may be outside of it.
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier touches nothing.
    unsafe {
        std::arch::asm!("dmb oshst", options(nostack, preserves_flags));
    }
    std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
}

/// What is loaded from memory after is not older than what was loaded before.
fn observe() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier touches nothing.
    unsafe {
        std::arch::asm!("dmb oshld", options(nostack, preserves_flags));
    }
    std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
}

/// The clock of the kernel's deadlines, in nanoseconds.
fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn reached(seen: &Completion, steps: u32, rows: u32) -> bool {
    let lead = seen.steps_done.wrapping_sub(steps) as i32;
    lead >= 0 || (lead == -1 && seen.rows_done >= rows)
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
        let (found, to) = self.range(buffer, offset, data.len())?;
        let usage = found.usage;
        // SAFETY: the range is inside the mapping, which only the device also touches, and not before the doorbell.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) };
        // The weight ports never see the caches.
        if usage == BufferUse::Weights || !self.coherent {
            self.sync(buffer, offset, data.len(), uapi::MACROMAC_SYNC_FOR_DEVICE)?;
        }
        Ok(())
    }

    fn read(&mut self, buffer: BufferId, offset: u64, out: &mut [u8]) -> Result<(), DriverError> {
        self.range(buffer, offset, out.len())?;
        if !self.coherent {
            self.sync(buffer, offset, out.len(), uapi::MACROMAC_SYNC_FOR_CPU)?;
        }
        let (_, from) = self.range(buffer, offset, out.len())?;
        // SAFETY: the range is inside the mapping; what the record has reported the device does not write again before the
        // next doorbell.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
        Ok(())
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
