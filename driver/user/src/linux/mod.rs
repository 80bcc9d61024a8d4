//! The platform of the board: the kernel module's device file.
//!
//! Buffers, the doorbell page and the completion page are mapped once. A step then costs no system call: activations are copied,
//! a store rings the doorbell, loads watch the completion record; only a step that takes longer than the processor is willing to
//! watch costs one call, to sleep. Where the data port does not see the processor's caches, the kernel cleans and invalidates
//! them, which costs two more a step.

mod fault;
mod kernel;
mod open;
mod order;
mod platform;
#[cfg(test)]
mod tests;
#[rustfmt::skip]
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
mod uapi;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use memmap2::MmapRaw;

use crate::rules::NO_SUCH_BUFFER;
use crate::{BufferId, BufferUse, Capabilities, DriverError, Platform, SystemCalls};
use kernel::{DeviceFile, Kernel, Request};
use open::{capabilities, unavailable};

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
