//! Who owns which addresses: allocation, handles, and the question whether a burst may touch a range.

use std::collections::BTreeMap;

use macromac_driver::rules::NO_SUCH_BUFFER;
use macromac_driver::{BufferUse, DriverError};

/// Alignment of buffers.
pub const ALIGN: u64 = 4096;

/// Bytes of a beat: no burst touches less.
const BEAT: u64 = 16;

/// Left free behind every buffer, so that running over an end is noticed.
const GUARD: u64 = ALIGN;

/// What a range of memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A buffer of the driver.
    Buffer(BufferUse),
    /// The program ring.
    Ring,
    /// The completion record.
    Completion,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Owner::Buffer(usage) => usage.name(),
            Owner::Ring => "program ring",
            Owner::Completion => "completion record",
        })
    }
}

/// An allocated range.
#[derive(Debug, Clone, Copy)]
pub struct Buffer {
    /// Physical address.
    pub address: u64,
    /// Bytes asked for; accesses beyond them are strays.
    pub bytes: u64,
    /// Purpose.
    pub owner: Owner,
}

/// All buffers of a board and the free memory between them.
pub struct Buffers {
    /// By handle; a handle is never given out twice.
    table: Vec<Option<Buffer>>,
    /// The allocated ones by address.
    order: Vec<Buffer>,
    /// Address and length of each free range.
    free: BTreeMap<u64, u64>,
}

impl Buffers {
    /// Nothing allocated in `bytes` from `base` on.
    pub fn new(base: u64, bytes: u64) -> Self {
        let free = BTreeMap::from([(base, bytes / ALIGN * ALIGN)]);
        Self {
            table: Vec::new(),
            order: Vec::new(),
            free,
        }
    }

    /// Bytes that are free, in whatever pieces.
    pub fn left(&self) -> u64 {
        self.free.values().sum()
    }

    /// First fit.
    pub fn alloc(&mut self, bytes: usize, owner: Owner) -> Result<u32, DriverError> {
        let bytes = bytes.max(1) as u64;
        let size = bytes.next_multiple_of(ALIGN) + GUARD;
        let Some((address, length)) = self
            .free
            .iter()
            .find(|(_, length)| **length >= size)
            .map(|(a, l)| (*a, *l))
        else {
            return Err(DriverError::OutOfMemory {
                asked: bytes,
                left: self.left(),
            });
        };
        self.free.remove(&address);
        if length > size {
            self.free.insert(address + size, length - size);
        }
        let buffer = Buffer {
            address,
            bytes,
            owner,
        };
        let place = self.order.partition_point(|other| other.address < address);
        self.order.insert(place, buffer);
        self.table.push(Some(buffer));
        Ok(self.table.len() as u32 - 1)
    }

    /// The buffer of a handle.
    pub fn get(&self, handle: u32) -> Result<Buffer, DriverError> {
        self.table
            .get(handle as usize)
            .copied()
            .flatten()
            .ok_or_else(|| DriverError::BadBuffer {
                buffer: handle,
                reason: NO_SUCH_BUFFER.into(),
            })
    }

    /// Gives a buffer's range back; the range is returned for clearing.
    pub fn free(&mut self, handle: u32) -> Result<Buffer, DriverError> {
        let buffer = self.get(handle)?;
        self.table[handle as usize] = None;
        self.order.retain(|other| other.address != buffer.address);
        let (mut start, mut size) = (buffer.address, buffer.bytes.next_multiple_of(ALIGN) + GUARD);
        if let Some(after) = self.free.remove(&(start + size)) {
            size += after;
        }
        if let Some((&before, &length)) = self.free.range(..start).next_back() {
            if before + length == start {
                start = before;
                size += length;
            }
        }
        self.free.insert(start, size);
        Ok(buffer)
    }

    /// A range of a buffer as a physical address.
    pub fn range(&self, handle: u32, offset: u64, bytes: usize) -> Result<u64, DriverError> {
        let buffer = self.get(handle)?;
        match offset.checked_add(bytes as u64) {
            Some(end) if end <= buffer.bytes => Ok(buffer.address + offset),
            _ => Err(DriverError::BadBuffer {
                buffer: handle,
                reason: format!(
                    "{bytes} bytes from offset {offset} on are outside, it has {} bytes",
                    buffer.bytes
                ),
            }),
        }
    }

    /// The buffer that holds all of a range of physical addresses.
    pub fn owner(&self, address: u64, bytes: u64) -> Option<Owner> {
        let after = self
            .order
            .partition_point(|buffer| buffer.address <= address);
        let buffer = self.order[..after].last()?;
        // Beats are whole: the last one may reach past an odd number of bytes.
        let end = buffer.address + buffer.bytes.next_multiple_of(BEAT);
        (address + bytes <= end).then_some(buffer.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: Owner = Owner::Buffer(BufferUse::Weights);

    #[test]
    fn ranges_are_aligned_apart_and_come_back() {
        let mut buffers = Buffers::new(0x1000_0000, 64 * ALIGN);
        let a = buffers.alloc(5000, WEIGHTS).unwrap();
        let b = buffers.alloc(16, Owner::Ring).unwrap();
        let c = buffers.alloc(4096, Owner::Completion).unwrap();
        let at = |buffers: &Buffers, handle| buffers.get(handle).unwrap().address;
        assert_eq!(at(&buffers, a), 0x1000_0000);
        assert_eq!(at(&buffers, b), 0x1000_3000);
        assert_eq!(at(&buffers, c), 0x1000_5000);
        buffers.free(b).unwrap();
        assert!(buffers.get(b).is_err() && buffers.free(b).is_err());
        buffers.free(a).unwrap();
        buffers.free(c).unwrap();
        assert_eq!(buffers.free, BTreeMap::from([(0x1000_0000, 64 * ALIGN)]));
        let whole = buffers.alloc(63 * ALIGN as usize, WEIGHTS).unwrap();
        let err = buffers.alloc(1, WEIGHTS).unwrap_err();
        assert!(matches!(
            err,
            DriverError::OutOfMemory { asked: 1, left: 0 }
        ));
        assert_ne!(whole, a, "a stale handle never means a new buffer");
    }

    #[test]
    fn only_whole_ranges_have_an_owner() {
        let mut buffers = Buffers::new(0x1000_0000, 64 * ALIGN);
        let a = buffers.alloc(5000, WEIGHTS).unwrap();
        let at = buffers.get(a).unwrap().address;
        assert_eq!(buffers.owner(at, 16), Some(WEIGHTS));
        assert_eq!(buffers.owner(at + 4992, 16), Some(WEIGHTS));
        assert_eq!(buffers.owner(at + 4992, 32), None);
        assert_eq!(buffers.owner(at + 5008, 16), None);
        assert_eq!(buffers.owner(at - 16, 16), None);
        assert_eq!(buffers.range(a, 4999, 1).unwrap(), at + 4999);
        assert!(buffers.range(a, 4999, 2).is_err());
        assert!(buffers.range(a, u64::MAX, 2).is_err());
    }
}
