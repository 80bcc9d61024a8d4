//! Order between this processor's accesses and the device's, and the clock of deadlines.

use rustix::time::{ClockId, clock_gettime};

/// What was stored to memory before is there for every device after.
pub fn publish() {
    // The compiler's barrier is for the inner domain; a device may be outside of it.
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier touches nothing.
    unsafe {
        std::arch::asm!("dmb oshst", options(nostack, preserves_flags));
    }
    std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
}

/// What is loaded from memory after is not older than what was loaded before.
pub fn observe() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier touches nothing.
    unsafe {
        std::arch::asm!("dmb oshld", options(nostack, preserves_flags));
    }
    std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
}

/// The clock of the kernel's deadlines, in nanoseconds.
pub fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
