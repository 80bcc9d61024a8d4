//! The board's memory: one range of physical addresses in pages that exist once they are written.

/// Bytes of a page; a multiple of 4 KiB, so that no AXI burst crosses one.
const PAGE: usize = 64 * 1024;

/// Bytes of one beat.
pub const BEAT_BYTES: usize = 16;

/// The 128 bits of a beat, lowest first.
pub type Beat = [u32; 4];

/// Sparse memory; what was never written reads as zero.
pub struct Memory {
    base: u64,
    bytes: u64,
    pages: Vec<Option<Box<[u8]>>>,
}

/// A resolved address that moves on beat by beat within its page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    page: u32,
    offset: u32,
}

impl Cursor {
    /// The place so many bytes after the first of a space.
    pub fn new(at: u64) -> Self {
        Self {
            page: (at / PAGE as u64) as u32,
            offset: (at % PAGE as u64) as u32,
        }
    }

    /// Bytes from the first of the space on.
    pub fn at(self) -> u64 {
        u64::from(self.page) * PAGE as u64 + u64::from(self.offset)
    }

    /// To the next beat.
    pub fn advance(&mut self) {
        self.offset += BEAT_BYTES as u32;
    }
}

impl Memory {
    /// Memory of `bytes` at physical address `base`, a multiple of 4096.
    pub fn new(base: u64, bytes: u64) -> Self {
        let count = bytes.div_ceil(PAGE as u64) as usize;
        Self {
            base,
            bytes,
            pages: (0..count).map(|_| None).collect(),
        }
    }

    /// Resolves the address of a burst's first beat; `None` outside the memory.
    pub fn cursor(&self, address: u64) -> Option<Cursor> {
        let at = address
            .checked_sub(self.base)
            .filter(|at| *at < self.bytes)?;
        Some(Cursor::new(at))
    }

    /// The beat under the cursor.
    pub fn beat(&self, cursor: Cursor) -> Beat {
        let mut beat = [0; 4];
        if let Some(page) = &self.pages[cursor.page as usize] {
            let bytes = &page[cursor.offset as usize..][..BEAT_BYTES];
            for (word, bytes) in beat.iter_mut().zip(bytes.chunks_exact(4)) {
                *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
        }
        beat
    }

    /// Stores the bytes of a beat whose strobe bit is set.
    pub fn store(&mut self, cursor: Cursor, beat: &Beat, strobe: u16) {
        let page = self.page(cursor.page as usize);
        let bytes = &mut page[cursor.offset as usize..][..BEAT_BYTES];
        for (lane, byte) in bytes.iter_mut().enumerate() {
            if strobe >> lane & 1 != 0 {
                *byte = beat[lane / 4].to_le_bytes()[lane % 4];
            }
        }
    }

    /// Copies memory from `address` on; the range must be inside.
    pub fn read(&self, address: u64, out: &mut [u8]) {
        pieces(
            self.base,
            address,
            out.len(),
            |page, offset, range| match &self.pages[page] {
                Some(page) => out[range.clone()].copy_from_slice(&page[offset..][..range.len()]),
                None => out[range].fill(0),
            },
        );
    }

    /// Writes memory from `address` on; the range must be inside.
    pub fn write(&mut self, address: u64, data: &[u8]) {
        let base = self.base;
        pieces(base, address, data.len(), |page, offset, range| {
            self.page(page)[offset..][..range.len()].copy_from_slice(&data[range]);
        });
    }

    /// Makes a range zero and gives whole pages back.
    pub fn clear(&mut self, address: u64, bytes: u64) {
        let base = self.base;
        pieces(base, address, bytes as usize, |page, offset, range| {
            if range.len() == PAGE {
                self.pages[page] = None;
            } else if let Some(page) = &mut self.pages[page] {
                page[offset..][..range.len()].fill(0);
            }
        });
    }

    fn page(&mut self, index: usize) -> &mut [u8] {
        self.pages[index].get_or_insert_with(|| vec![0; PAGE].into_boxed_slice())
    }
}

type Range = std::ops::Range<usize>;

/// Splits a range of addresses at page borders: page, offset in it, and which bytes of the range.
fn pieces(base: u64, address: u64, len: usize, mut piece: impl FnMut(usize, usize, Range)) {
    let start = (address - base) as usize;
    let mut done = 0;
    while done < len {
        let (page, offset) = ((start + done) / PAGE, (start + done) % PAGE);
        let step = (PAGE - offset).min(len - done);
        piece(page, offset, done..done + step);
        done += step;
    }
}

impl macromac_driver::Memory for Memory {
    fn copy(&self, at: u64, out: &mut [u8]) {
        self.read(at, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x8_0000_0000;

    #[test]
    fn bytes_survive_page_borders() {
        let mut memory = Memory::new(BASE, 4 * PAGE as u64);
        let data: Vec<u8> = (0..PAGE + 100).map(|i| i as u8 ^ (i >> 8) as u8).collect();
        let at = BASE + PAGE as u64 - 50;
        memory.write(at, &data);
        let mut back = vec![1; data.len() + 20];
        memory.read(at - 10, &mut back);
        assert_eq!(back[..10], [0; 10]);
        assert_eq!(back[10..10 + data.len()], data);
        memory.clear(BASE, 3 * PAGE as u64);
        memory.read(at, &mut back);
        assert!(back.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn beats_and_strobes() {
        let mut memory = Memory::new(BASE, PAGE as u64);
        let mut cursor = memory.cursor(BASE + 0x100).unwrap();
        assert_eq!(memory.beat(cursor), [0; 4]);
        memory.store(cursor, &[0x1122_3344, 0, 0, 0x5566_7788], 0x8001);
        assert_eq!(memory.beat(cursor), [0x44, 0, 0, 0x5500_0000]);
        cursor.advance();
        memory.store(cursor, &[1, 2, 3, 4], 0xFFFF);
        let mut bytes = [0; 4];
        memory.read(BASE + 0x114, &mut bytes);
        assert_eq!(bytes, [2, 0, 0, 0]);
        assert!(memory.cursor(BASE - 16).is_none());
        assert!(memory.cursor(BASE + PAGE as u64).is_none());
    }
}
