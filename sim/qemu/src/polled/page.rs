//! The registers as memory that the guest shares with this process.

use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use memmap2::{MmapOptions, MmapRaw};

/// Control page, doorbell page, test page.
pub const BYTES: u64 = 0x3000;

/// The three pages.
pub struct Page {
    map: MmapRaw,
}

impl Page {
    /// The pages at this byte of the guest's memory.
    ///
    /// # Errors
    /// If the file does not hold them, or cannot be mapped.
    pub fn new(memory: &File, offset: u64) -> Result<Self> {
        let map = MmapOptions::new()
            .offset(offset)
            .len(BYTES as usize)
            .map_raw(memory)
            .with_context(|| format!("cannot map the registers at {offset:#x} of the memory"))?;
        Ok(Self { map })
    }

    fn word(&self, register: u64) -> &AtomicU32 {
        assert!(
            register < BYTES && register % 4 == 0,
            "no register: {register:#x}"
        );
        // SAFETY: in the mapping and aligned, by the line above. The guest's loads and stores of words are atomic, too.
        unsafe { AtomicU32::from_ptr(self.map.as_mut_ptr().add(register as usize).cast()) }
    }

    /// What is there. Loads are made in the order of the calls: what the guest has stored before a value that was found is found
    /// by the loads after it.
    pub fn load(&self, register: u64) -> u32 {
        self.word(register).load(Ordering::Acquire)
    }

    /// Shows a value that the guest does not store; it sees the values in the order of the calls.
    pub fn show(&self, register: u64, value: u32) {
        self.word(register).store(value, Ordering::SeqCst);
    }

    /// Puts `to` where `from` is; false: the guest has stored something else meanwhile, which stays.
    pub fn exchange(&self, register: u64, from: u32, to: u32) -> bool {
        self.word(register)
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// What a bus gives where nobody answers.
    pub fn dead(&self) {
        for register in (0..crate::test_page::BASE).step_by(4) {
            self.show(register, u32::MAX);
        }
    }
}
