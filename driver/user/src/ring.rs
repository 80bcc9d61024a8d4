//! Where the vectors of a ring's steps lie, and arithmetic on sequence numbers that wrap.

/// Slots for activations, and as many for results, that a device needs for any ring.
pub(crate) const SLOTS: usize = 3;

/// The slot of ring index `index` in a ring of `len` steps (at least 2).
///
/// Two steps may be in flight (one computes while the activations of the next are loaded), so neighbours in the
/// ring, the last and the first included, must differ. Two slots taken in turn do that; a ring of odd length
/// needs a third for its last step. Few slots that come around often stay in the caches of the PS; one slot a
/// step would not.
pub(crate) fn slot(index: usize, len: usize) -> usize {
    debug_assert!(len >= 2 && index < len);
    if len % 2 == 1 && index == len - 1 {
        2
    } else {
        index % 2
    }
}

/// How many steps `later` is ahead of `earlier`, modulo 2^32 (negative if it is behind).
pub(crate) fn ahead(later: u32, earlier: u32) -> i32 {
    later.wrapping_sub(earlier) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_never_share_a_slot() {
        for len in 2..40 {
            for index in 0..len {
                let next = (index + 1) % len;
                assert_ne!(
                    slot(index, len),
                    slot(next, len),
                    "ring of {len}, index {index}"
                );
                assert!(slot(index, len) < SLOTS);
            }
        }
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert_eq!(ahead(1, u32::MAX), 2);
        assert_eq!(ahead(u32::MAX, 1), -2);
        assert_eq!(ahead(7, 7), 0);
    }
}
