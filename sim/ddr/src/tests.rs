use super::*;
use crate::timing::MemoryTiming;

const PL: u64 = 200_000_000;

fn memory() -> Ddr4 {
    Ddr4::new(DdrConfig::new(DdrRate::Mt2133, PL))
}

/// Cycle of each beat of a read burst on `port` that is accepted in `cycle`.
fn beats(memory: &mut Ddr4, port: usize, from: u64, address: u64, count: u32) -> Vec<u64> {
    memory.tick(from);
    memory.read(port, from, address, count);
    let mut seen = Vec::new();
    for cycle in from + 1..from + 10_000 {
        memory.tick(cycle);
        if memory.read_beat(port, cycle + 1) {
            seen.push(cycle);
            if seen.len() == count as usize {
                break;
            }
        }
    }
    seen
}

#[test]
fn a_burst_comes_in_order_one_beat_a_cycle_and_an_open_row_is_faster() {
    let mut memory = memory();
    let closed = beats(&mut memory, 0, 100, 0x8_0000_0000, 64);
    assert_eq!(closed.len(), 64);
    assert!(
        closed.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{closed:?}"
    );
    let open = beats(&mut memory, 0, 1000, 0x8_0000_0400, 64);
    let (first, second) = (closed[0] - 100, open[0] - 1000);
    // tRCD is 15 memory clocks, almost three PL cycles.
    assert!(
        (2..=4).contains(&(first - second)),
        "{first} and {second} cycles"
    );
    assert!(!memory.read_beat(0, 2000));
    assert_eq!(memory.counters().activates, 1);
    assert_eq!(memory.counters().reads, 32);
}

#[test]
fn other_row_of_the_bank_costs_a_precharge_and_refresh_closes_rows() {
    let mut memory = memory();
    beats(&mut memory, 0, 100, 0, 4);
    let conflict = beats(&mut memory, 0, 200, 0x1_0000, 4)[0] - 200;
    let hit = beats(&mut memory, 0, 300, 0x1_0040, 4)[0] - 300;
    // tRP + tRCD are 30 memory clocks, between five and six PL cycles.
    assert!((5..=7).contains(&(conflict - hit)), "{conflict}, {hit}");
    // 7.8 us are 1560 cycles at 200 MHz.
    memory.tick(1_560 * 10 + 200);
    assert_eq!(memory.counters().refreshes, 10);
    beats(&mut memory, 0, 1_560 * 10 + 300, 0x1_0040, 4);
    assert_eq!(memory.counters().activates, 3);
}

#[test]
fn writes_are_answered_in_order_and_reach_the_memory() {
    let mut memory = memory();
    memory.tick(10);
    memory.write(4, 10, 0x100, 8);
    memory.write(4, 10, 0x2000, 1);
    assert!(!memory.write_response(4, 11));
    let mut answers = 0;
    for cycle in 11..400 {
        memory.tick(cycle);
        answers += u32::from(memory.write_response(4, cycle + 1));
    }
    assert_eq!(answers, 2);
    assert_eq!(memory.counters().writes, 3, "two lines and a part of one");
}

#[test]
fn addresses_are_bank_group_bank_and_row() {
    assert_eq!((map::bank(0x1FFF), map::row(0x1FFF)), (0, 0));
    assert_eq!((map::bank(0x2000), map::group(map::bank(0x2000))), (1, 1));
    assert_eq!(map::group(map::bank(0x4000)), 0);
    assert_eq!((map::bank(0x1_0000), map::row(0x1_0000)), (0, 1));
    assert_eq!(map::row(0x8_0000_0000), 0x8000);
}

#[test]
fn the_processor_gets_what_it_is_charged_for_and_is_felt() {
    let stream = |read_bytes| {
        let mut memory = memory();
        memory.tick(0);
        memory.ps_traffic(PsTraffic {
            read_bytes,
            write_bytes: read_bytes / 4,
            cycles: 10_000,
        });
        let mut taken = 0;
        let mut asked = [0u64; 4];
        for cycle in 1..=10_000 {
            memory.tick(cycle);
            for (port, asked) in asked.iter_mut().enumerate() {
                if memory.ready(port, Channel::ReadAddress) {
                    let base = ((port as u64) << 24) + placement::PHASES[port] as u64;
                    memory.read(port, cycle, base + *asked * 1024, 64);
                    *asked += 1;
                }
                taken += u32::from(memory.read_beat(port, cycle + 1));
            }
        }
        (taken, memory.ps_bytes(), memory.ps_owed())
    };
    let (alone, none, _) = stream(0);
    assert_eq!(none, [0, 0]);
    // 50 us at 4 GB/s read and 1 GB/s written.
    let (beside, bytes, owed) = stream(200_000);
    assert!(
        bytes[0] + bytes[1] + owed >= 250_000,
        "{bytes:?} and {owed}"
    );
    assert!(bytes[0] > 20_000 && bytes[1] > 20_000, "{bytes:?}");
    assert!(
        beside < alone,
        "{beside} beats beside the processor, {alone} alone"
    );
    assert_eq!(stream(200_000), stream(200_000));
}

#[test]
fn explicit_requests_move_every_line_they_touch() {
    let mut memory = memory();
    memory.ps_request(PsRequest {
        address: 0x1030,
        bytes: 0x40,
        write: false,
    });
    memory.tick(1000);
    assert_eq!((memory.ps_bytes(), memory.ps_owed()), ([128, 0], 0));
}
