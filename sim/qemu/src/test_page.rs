//! The page behind the device's registers: not part of the device, and not named in the device tree. The guest's tests use it
//! to make errors and to read counts, in step with what they do.

use macromac_board::inject::{Direction, Effect, Injection, When};

/// First byte in BAR 0.
pub const BASE: u64 = 0x2000;

/// Store: which burst of the port from then on is hit, counted from 0.
pub const NTH: u64 = BASE;
/// Store: `effect | port << 8 | write << 16` plans an error; effect 1 is SLVERR, 2 DECERR, 3 a hang.
pub const INJECT: u64 = BASE + 0x04;
/// Store: forgets all errors; ports that hang go on.
pub const CLEAR: u64 = BASE + 0x08;
/// Load: bursts outside of the allowed window.
pub const STRAYS: u64 = BASE + 0x10;
/// Load: accesses of the guest to the device's registers.
pub const TRAPS: u64 = BASE + 0x14;
/// Load: PL cycles, lower half.
pub const CLOCKS: u64 = BASE + 0x18;
/// Load: 1 while the clock runs.
pub const AWAKE: u64 = BASE + 0x1C;

/// The error that a store to [`INJECT`] asks for.
pub fn injection(value: u32, nth: u32) -> Option<Injection> {
    let effect = match value & 0xFF {
        1 => Effect::SlaveError,
        2 => Effect::DecodeError,
        3 => Effect::Hang,
        _ => return None,
    };
    let port = (value >> 8 & 0xFF) as usize;
    let direction = match value >> 16 {
        0 => Direction::Read,
        1 => Direction::Write,
        _ => return None,
    };
    let exists = port <= 4 && (direction == Direction::Read || port == 4);
    exists.then_some(Injection {
        port,
        direction,
        when: When::Burst(nth.into()),
        effect,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_named_by_numbers() {
        let planned = injection(0x1_0403, 7).unwrap();
        assert_eq!(
            (
                planned.port,
                planned.direction,
                planned.effect,
                planned.when
            ),
            (4, Direction::Write, Effect::Hang, When::Burst(7))
        );
        let planned = injection(0x201, 0).unwrap();
        assert_eq!((planned.port, planned.effect), (2, Effect::SlaveError));
        for bad in [0, 4, 0x501, 0x1_0001, 0x2_0401] {
            assert!(injection(bad, 0).is_none(), "{bad:#x}");
        }
    }
}
