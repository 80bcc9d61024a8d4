//! The calls of the kernel module, and what stands for them in tests.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use memmap2::{MmapOptions, MmapRaw};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};

use super::uapi;

/// A structure of the kernel's interface that belongs to one call.
///
/// # Safety
/// `CODE` must be the number of the call whose argument is this structure.
pub unsafe trait Request {
    /// Number of the call.
    const CODE: u32;
    /// Name in messages.
    const NAME: &'static str;
}

macro_rules! request {
    ($structure:ident, $code:ident, $name:literal) => {
        // SAFETY: number and structure stand together in the kernel's header; the test `uapi` keeps both true.
        unsafe impl Request for uapi::$structure {
            const CODE: u32 = uapi::$code;
            const NAME: &'static str = $name;
        }
    };
}

request!(macromac_query, MACROMAC_IOCTL_QUERY, "query");
request!(
    macromac_buffer_create,
    MACROMAC_IOCTL_BUFFER_CREATE,
    "buffer create"
);
request!(
    macromac_buffer_free,
    MACROMAC_IOCTL_BUFFER_FREE,
    "buffer free"
);
request!(
    macromac_buffer_sync,
    MACROMAC_IOCTL_BUFFER_SYNC,
    "buffer sync"
);
request!(
    macromac_program_load,
    MACROMAC_IOCTL_PROGRAM_LOAD,
    "program load"
);
request!(macromac_wait, MACROMAC_IOCTL_WAIT, "wait");
request!(macromac_fault, MACROMAC_IOCTL_FAULT, "fault");
request!(macromac_reset, MACROMAC_IOCTL_RESET, "reset");
request!(macromac_stats, MACROMAC_IOCTL_STATS, "stats");

/// The kernel module as an open device file offers it.
pub trait Kernel {
    /// One call.
    ///
    /// # Errors
    /// The kernel's error number.
    fn call<R: Request>(&self, request: &mut R) -> io::Result<()>;

    /// Maps pages of the device, shared; read-only unless `write`.
    ///
    /// # Errors
    /// The kernel's error number.
    fn map(&self, offset: u64, bytes: usize, write: bool) -> io::Result<MmapRaw>;
}

/// The open device file.
pub struct DeviceFile(File);

impl DeviceFile {
    /// Opens it to read and write.
    ///
    /// # Errors
    /// The kernel's error number.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map(Self)
    }
}

struct Call<'a, R>(&'a mut R);

// SAFETY: the opcode is the one of the structure (`Request`), whose size is part of it; the kernel writes only into the
// structure.
unsafe impl<R: Request> Ioctl for Call<'_, R> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        R::CODE as Opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

impl Kernel for DeviceFile {
    fn call<R: Request>(&self, request: &mut R) -> io::Result<()> {
        // SAFETY: see `Call`. The pointer that a program load carries is to steps that live as long as the call.
        unsafe { ioctl(&self.0, Call(request)) }.map_err(io::Error::from)
    }

    fn map(&self, offset: u64, bytes: usize, write: bool) -> io::Result<MmapRaw> {
        let mut options = MmapOptions::new();
        options.offset(offset).len(bytes);
        if write {
            options.map_raw(&self.0)
        } else {
            options.map_raw_read_only(&self.0)
        }
    }
}
