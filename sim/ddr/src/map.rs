//! Which bank, row and column an address is.
//!
//! ```text
//! bit   31 ........ 16  15 14   13    12 ......... 6   5 .. 3   2 .. 0
//!       row             bank   bank   column, upper    column   byte of the
//!                              group  seven bits       in the   64-bit word
//!                                                      burst
//! ```
//!
//! A row is 8 KiB (four devices of 2 KB each), so a stream stays in one row of one bank for 8 KiB, then goes on in the other bank
//! group; after 64 KiB it is back at the first bank, one row on. An aligned line of 64 bytes is one memory burst: 128 of them are a
//! row. Bits 31 and up only choose the row; the board's two windows (low, and from 0x8_0000_0000 on) are halves of 4 GB.
//! The order is that of the controller's registers as the board's firmware sets them, by inference: published sweeps of the board
//! repeat every 64 KiB and change every 8 KiB.

/// Bank groups.
pub const GROUPS: usize = 2;
/// Banks of all groups.
pub const BANKS: usize = 8;
/// Bytes of a row.
pub const ROW_BYTES: u64 = 8192;
/// Bytes after which the banks repeat.
pub const BANK_SPACE: u64 = ROW_BYTES * BANKS as u64;

/// Bank 0..8: the group is bit 0.
pub const fn bank(address: u64) -> usize {
    (address / ROW_BYTES) as usize % BANKS
}

/// Bank group of a bank.
pub const fn group(bank: usize) -> usize {
    bank % GROUPS
}

/// Row within the bank. The upper window of 2 GB follows the lower one.
pub const fn row(address: u64) -> u32 {
    let high = (address >> 35) & 1;
    (((address & 0x7FFF_FFFF) | (high << 31)) / BANK_SPACE) as u32
}
