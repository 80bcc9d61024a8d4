//! The guest's memory as the device sees it.

use std::sync::atomic::{AtomicU64, Ordering};

use macromac_board::buffers::Owner;
use macromac_board::inject::Direction;
use macromac_board::memory::{Beat, Cursor};
use macromac_board::space::{Found, Space};
use macromac_driver::BufferUse;
use memmap2::MmapRaw;

use crate::report::Stray;

/// How many strays are kept with their addresses.
const KEPT: usize = 16;

/// A piece of guest memory that QEMU has given to the device.
pub struct Region {
    /// Its first physical address.
    pub address: u64,
    /// The memory itself.
    pub map: MmapRaw,
}

impl Region {
    fn holds(&self, address: u64, bytes: u64) -> bool {
        let size = self.map.len() as u64;
        address
            .checked_sub(self.address)
            .is_some_and(|at| at <= size && bytes <= size - at)
    }
}

/// The window of physical addresses that the guest has reserved for the device. Everything else that the device could
/// reach (QEMU gives it all of the guest's RAM) is out of bounds.
pub struct GuestMemory {
    first: u64,
    bytes: u64,
    /// The region that holds the window, and where in it the window begins.
    region: Option<(Region, usize)>,
    /// Where the guest shall not see beats yet, and the last beat that went there.
    curtain: Option<u64>,
    behind: Option<Beat>,
    /// Bursts that went elsewhere.
    pub stray_count: u64,
    /// The first few of them.
    pub strays: Vec<Stray>,
}

impl GuestMemory {
    /// A window of `bytes` from `first` on; there is nothing behind it until a region is mapped.
    pub fn new((first, bytes): (u64, u64)) -> Self {
        Self {
            first,
            bytes,
            region: None,
            curtain: None,
            behind: None,
            stray_count: 0,
            strays: Vec::new(),
        }
    }

    /// Takes a region into use if it holds the window.
    pub fn map(&mut self, region: Region) {
        if region.holds(self.first, self.bytes) {
            let offset = (self.first - region.address) as usize;
            self.region = Some((region, offset));
        }
    }

    /// Forgets a region that begins at this address.
    pub fn unmap(&mut self, address: u64) {
        self.region.take_if(|(region, _)| region.address == address);
    }

    /// Keeps back what the device writes to the beat at this physical address, until it is taken and
    /// [released](Self::release).
    pub fn hold(&mut self, address: u64) {
        self.curtain = address.checked_sub(self.first);
        self.behind = None;
    }

    /// Is a beat kept back?
    pub fn holds(&self) -> bool {
        self.behind.is_some()
    }

    /// The last beat that was kept back; the next one is kept back, too.
    pub fn take_held(&mut self) -> Option<Beat> {
        self.behind.take()
    }

    /// Lets the guest see a beat that was kept back.
    pub fn release(&mut self, beat: &Beat) {
        if let Some(at) = self.curtain {
            self.put(Cursor::new(at), beat);
        }
    }

    fn put(&mut self, cursor: Cursor, beat: &Beat) {
        let word = |low: usize| u64::from(beat[low]) | u64::from(beat[low + 1]) << 32;
        if let Some([low, high]) = self.halves(cursor) {
            // A beat is one transfer on the bus. Here it is two: who sees the first half (of a completion record: the
            // progress) must find the second (the status).
            high.store(word(2), Ordering::Release);
            low.store(word(0), Ordering::Release);
        }
    }

    /// The two halves of a beat in the guest's memory, lower one first.
    fn halves(&self, cursor: Cursor) -> Option<[&AtomicU64; 2]> {
        let (region, offset) = self.region.as_ref()?;
        let at = cursor.at();
        if at % 16 != 0 || at + 16 > self.bytes {
            return None;
        }
        // SAFETY: the window lies in the mapping (`map`), the beat in the window, and both are aligned to 16. The guest writes
        // this memory at the same time: every access of ours is atomic, as the guest's are to us.
        unsafe {
            let low = region
                .map
                .as_mut_ptr()
                .add(offset + at as usize)
                .cast::<u64>();
            Some([AtomicU64::from_ptr(low), AtomicU64::from_ptr(low.add(1))])
        }
    }
}

impl Space for GuestMemory {
    fn find(
        &mut self,
        port: usize,
        direction: Direction,
        _allowed: &[Owner],
        address: u64,
        bytes: u64,
    ) -> Found {
        let at = address.wrapping_sub(self.first);
        let inside = address >= self.first && at < self.bytes && bytes <= self.bytes - at;
        if inside && self.region.is_some() {
            // Whose memory within the window it is only the guest's kernel knows.
            return Found::At(Cursor::new(at), Owner::Buffer(BufferUse::Results));
        }
        self.stray_count += 1;
        if self.strays.len() < KEPT {
            let direction = match direction {
                Direction::Read => "read",
                Direction::Write => "write",
            };
            self.strays.push(Stray {
                port,
                direction,
                address,
                bytes,
            });
        }
        Found::Refused
    }

    fn beat(&self, cursor: Cursor) -> Beat {
        let Some([low, high]) = self.halves(cursor) else {
            return [0xDEAD_BEEF; 4];
        };
        let (low, high) = (low.load(Ordering::Acquire), high.load(Ordering::Acquire));
        [
            low as u32,
            (low >> 32) as u32,
            high as u32,
            (high >> 32) as u32,
        ]
    }

    fn store(&mut self, cursor: Cursor, beat: &Beat, _strobe: u16) {
        // The slave has seen that beats are whole.
        if self.curtain == Some(cursor.at()) {
            self.behind = Some(*beat);
        } else {
            self.put(cursor, beat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::MmapOptions;

    const FIRST: u64 = 0x5000_0000;

    fn memory() -> GuestMemory {
        let mut memory = GuestMemory::new((FIRST, 0x4000));
        let map = MmapOptions::new().len(0x10000).map_anon().unwrap();
        memory.map(Region {
            address: FIRST - 0x1000,
            map: map.into(),
        });
        memory
    }

    fn find(memory: &mut GuestMemory, address: u64, bytes: u64) -> Found {
        memory.find(4, Direction::Write, &[], address, bytes)
    }

    #[test]
    fn beats_go_where_the_guest_sees_them() {
        let mut memory = memory();
        let Found::At(cursor, _) = find(&mut memory, FIRST + 0x3FF0, 16) else {
            panic!("the last beat of the window was refused");
        };
        memory.store(cursor, &[1, 2, 3, 4], 0xFFFF);
        assert_eq!(memory.beat(cursor), [1, 2, 3, 4]);
        let (region, offset) = memory.region.as_ref().unwrap();
        assert_eq!(*offset, 0x1000);
        // SAFETY: inside the mapping of 64 KiB, nobody writes it.
        let bytes =
            unsafe { std::slice::from_raw_parts(region.map.as_ptr().add(0x1000 + 0x3FF0), 16) };
        assert_eq!(bytes, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(memory.stray_count, 0);
    }

    #[test]
    fn everything_outside_of_the_window_is_a_stray() {
        let mut memory = memory();
        for (address, bytes) in [
            (FIRST - 16, 16),
            (FIRST - 16, 32),
            (FIRST + 0x4000, 16),
            (FIRST + 0x3FF0, 32),
            (0, 16),
            (u64::MAX - 15, 16),
        ] {
            assert_eq!(
                find(&mut memory, address, bytes),
                Found::Refused,
                "{address:#x} {bytes}"
            );
        }
        assert_eq!(memory.stray_count, 6);
        assert_eq!(memory.strays[0].address, FIRST - 16);
        memory.unmap(FIRST);
        assert!(matches!(find(&mut memory, FIRST, 16), Found::At(..)));
        memory.unmap(FIRST - 0x1000);
        assert_eq!(find(&mut memory, FIRST, 16), Found::Refused);
    }

    #[test]
    fn what_is_held_back_is_seen_when_it_is_released() {
        let mut memory = memory();
        let Found::At(cursor, _) = find(&mut memory, FIRST + 0x40, 32) else {
            panic!("a beat of the window was refused");
        };
        let seen = |memory: &GuestMemory, at| memory.beat(Cursor::new(at));
        memory.hold(FIRST + 0x40);
        assert!(!memory.holds());
        memory.store(cursor, &[1, 2, 3, 4], 0xFFFF);
        memory.store(cursor, &[5, 6, 7, 8], 0xFFFF);
        memory.store(Cursor::new(0x50), &[9, 9, 9, 9], 0xFFFF);
        assert!(memory.holds());
        assert_eq!(seen(&memory, 0x40), [0; 4]);
        assert_eq!(seen(&memory, 0x50), [9; 4]);
        let beat = memory.take_held().unwrap();
        // One that comes now is another.
        memory.store(cursor, &[7, 7, 7, 7], 0xFFFF);
        memory.release(&beat);
        assert_eq!(seen(&memory, 0x40), [5, 6, 7, 8]);
        assert_eq!(memory.take_held(), Some([7; 4]));
        assert!(!memory.holds());
    }

    #[test]
    fn a_region_that_does_not_hold_the_window_is_not_used() {
        let mut memory = GuestMemory::new((FIRST, 0x4000));
        let map = MmapOptions::new().len(0x4000).map_anon().unwrap();
        memory.map(Region {
            address: FIRST + 0x1000,
            map: map.into(),
        });
        assert_eq!(find(&mut memory, FIRST + 0x1000, 16), Found::Refused);
    }
}
