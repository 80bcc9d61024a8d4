use super::fake::{Behaviour, Call, Fake};
use super::*;
use crate::Capabilities;
use macromac_format::Packing;

const X: u32 = 2;
const Y: u32 = 3;

fn weights(n: usize, k: usize) -> Vec<u8> {
    vec![7; k.div_ceil(64) * n.div_ceil(32) * 288]
}

/// Two matrices: [40, 100] (2 groups, 2 tile rows) and [2000, 64] (1 group, 63 tile rows).
fn device_on(fake: Fake) -> Result<Device<Fake>, DriverError> {
    let (a, b) = (weights(40, 100), weights(2000, 64));
    Device::new(
        fake,
        &[
            PassWeights {
                shape: PassShape { n: 40, k: 100 },
                packing: Packing::Single,
                segments: [&a; 4],
            },
            PassWeights {
                shape: PassShape { n: 2000, k: 64 },
                packing: Packing::Single,
                segments: [&b; 4],
            },
        ],
    )
}

fn device() -> Device<Fake> {
    let mut device = device_on(Fake::new()).unwrap();
    device.platform.taken();
    device
}

#[test]
fn weights_are_uploaded_where_their_streams_do_not_meet() {
    let mut device = device_on(Fake::new()).unwrap();
    let calls = device.platform.taken();
    let write = |buffer, offset, bytes| Call::Write {
        buffer,
        offset,
        bytes,
    };
    // 0, 40, 48 and 56 KiB modulo 64 KiB, each behind the last: 2 x 2 x 288 = 1152 bytes fit between, 63 x 288 = 18144 do not.
    const KIB: u64 = 1024;
    let expected: Vec<Call> = [0, 40, 48, 56]
        .map(|at| write(0, at * KIB, 1152))
        .into_iter()
        .chain([0, 40, 64 + 48, 128 + 56].map(|at| write(1, at * KIB, 18144)))
        .collect();
    assert_eq!(calls, expected);
    let uses: Vec<_> = device
        .platform
        .buffers
        .iter()
        .map(|(usage, b)| (*usage, b.len()))
        .collect();
    assert_eq!(
        uses,
        [
            (BufferUse::Weights, 56 * 1024 + 1152),
            (BufferUse::Weights, 184 * 1024 + 18144),
            (BufferUse::Activations, 3 * 4096),
            (BufferUse::Results, 3 * 8192),
        ]
    );
}

#[test]
fn a_step_is_write_doorbell_wait_read() {
    let mut device = device();
    device.set_program(&[0, 1], 1).unwrap();
    assert_eq!(device.platform.taken(), [Call::Load { steps: 2 }]);
    let steps = device.platform.steps.clone();
    assert_eq!(
        (
            steps[0].groups,
            steps[0].tile_rows,
            steps[0].report_tile_rows
        ),
        (2, 2, 0)
    );
    assert_eq!(
        (
            steps[1].groups,
            steps[1].tile_rows,
            steps[1].report_tile_rows
        ),
        (1, 63, 4)
    );
    assert_eq!(
        steps[1].weights[3],
        SegmentRef {
            buffer: BufferId(1),
            offset: 184 * 1024
        }
    );
    assert_eq!(
        steps[1].activations,
        SegmentRef {
            buffer: BufferId(X),
            offset: 4096
        }
    );

    for (value, bytes) in device.platform.buffers[Y as usize]
        .1
        .chunks_exact_mut(4)
        .enumerate()
    {
        bytes.copy_from_slice(&(value as f32).to_le_bytes());
    }
    let x: Vec<f32> = (0..100).map(|i| i as f32 + 1.0).collect();
    let mut y = vec![0.0; 40];
    device.run_step(&x, &mut y).unwrap();
    assert_eq!(
        device.platform.taken(),
        [
            Call::Write {
                buffer: X,
                offset: 0,
                bytes: 512
            },
            Call::Doorbell(1),
            Call::Wait {
                steps: 1,
                rows: u32::MAX
            },
            Call::Read {
                buffer: Y,
                offset: 0,
                bytes: 160
            },
        ]
    );
    assert_eq!(y, (0..40).map(|i| i as f32).collect::<Vec<_>>());
    // The activations are padded with zeros over what was there before.
    let written = &device.platform.buffers[X as usize].1[..512];
    assert_eq!(written[99 * 4..100 * 4], 100f32.to_le_bytes());
    assert!(written[400..].iter().all(|byte| *byte == 0));
    assert_eq!(device.counters().unwrap().unwrap().steps, 1);
}

#[test]
fn partial_rows() {
    let mut device = device();
    device.set_program(&[1], 1).unwrap();
    let step = device.submit(&[0.0; 64]).unwrap();
    device.platform.behaviour = Behaviour::StopsAtRows;
    assert_eq!(device.wait_rows(step, 100).unwrap(), 128);
    device.platform.taken();
    // What is known to be finished asks the device no more.
    assert_eq!(device.wait_rows(step, 128).unwrap(), 128);
    let mut out = vec![0.0; 28];
    device.read_rows(step, 0, 100, &mut out).unwrap();
    assert_eq!(
        device.platform.taken(),
        [Call::Read {
            buffer: Y,
            offset: 400,
            bytes: 112
        }]
    );
    let err = device.read_rows(step, 0, 101, &mut out).unwrap_err();
    assert_eq!(
        err.to_string(),
        "rows 101..129 are not finished, 128 are: wait for them first"
    );
    assert!(matches!(
        device.read_rows(step, 0, 1990, &mut out),
        Err(DriverError::Shape { found: 2018, .. })
    ));
    assert!(matches!(
        device.wait_rows(step, 2001),
        Err(DriverError::Shape {
            expected: 2000,
            found: 2001,
            ..
        })
    ));
    // The record counts padded rows (2016); the caller never sees more than the matrix has.
    device.platform.done.rows_done = 2016;
    device.platform.taken();
    device.read_rows(step, 0, 1972, &mut out).unwrap();
}

#[test]
fn a_second_step_may_be_submitted_while_one_runs() {
    let mut device = device();
    device.set_program(&[0, 1, 0], 1).unwrap();
    device.platform.taken();
    let doorbells = |calls: Vec<Call>| -> Vec<Call> {
        calls
            .into_iter()
            .filter(|call| !matches!(call, Call::Write { .. }))
            .collect()
    };
    device.submit(&[0.0; 100]).unwrap();
    device.submit(&[0.0; 64]).unwrap();
    assert_eq!(
        doorbells(device.platform.taken()),
        [Call::Doorbell(1), Call::Doorbell(2)]
    );
    // The third has to wait for the first: the device has two banks and this code two slots.
    device.submit(&[0.0; 100]).unwrap();
    assert_eq!(
        doorbells(device.platform.taken()),
        [
            Call::Wait {
                steps: 1,
                rows: u32::MAX
            },
            Call::Doorbell(3)
        ]
    );
    let offsets: Vec<u64> = device
        .platform
        .steps
        .iter()
        .map(|s| s.activations.offset)
        .collect();
    assert_eq!(
        offsets,
        [0, 4096, 8192],
        "the last step of an odd ring has a slot of its own"
    );
}

#[test]
fn the_program_is_loaded_only_when_it_must_be() {
    let mut device = device();
    device.set_program(&[0, 1], 1).unwrap();
    device.set_program(&[0, 1], 1).unwrap();
    assert_eq!(device.platform.taken(), [Call::Load { steps: 2 }]);
    let mut y = vec![0.0; 40];
    device.run_step(&[0.0; 100], &mut y).unwrap();
    device.platform.taken();
    // In the middle of a round the ring has to start anew.
    device.set_program(&[0, 1], 1).unwrap();
    assert_eq!(device.platform.taken(), [Call::Load { steps: 2 }]);
    device.run_step(&[0.0; 100], &mut y).unwrap();
    device.run_step(&[0.0; 64], &mut vec![0.0; 2000]).unwrap();
    device.platform.taken();
    device.set_program(&[0, 1], 1).unwrap();
    assert_eq!(device.platform.taken(), [], "the round is complete");
    // One step becomes a ring of two, and each of the two is a round.
    device.set_program(&[0], 1).unwrap();
    assert_eq!(device.platform.taken(), [Call::Load { steps: 2 }]);
    device.run_step(&[0.0; 100], &mut y).unwrap();
    device.platform.taken();
    device.set_program(&[0], 1).unwrap();
    assert_eq!(device.platform.taken(), []);
    device.submit(&[0.0; 100]).unwrap();
    assert!(matches!(
        device.platform.taken()[..],
        [Call::Write { offset: 4096, .. }, Call::Doorbell(2)]
    ));
}

#[test]
fn sequence_numbers_wrap_at_2_to_the_32() {
    let mut device = device();
    device.set_program(&[0, 1, 0], 1).unwrap();
    device.loaded.as_mut().unwrap().submitted = u32::MAX - 1;
    device.platform.done.steps_done = u32::MAX - 1;
    device.platform.doorbell = u32::MAX - 1;
    device.platform.taken();
    let mut bells = Vec::new();
    for round in 0..2 {
        for (k, n) in [(100, 40), (64, 2000), (100, 40)] {
            device
                .run_step(&vec![round as f32; k], &mut vec![0.0; n])
                .unwrap();
            let calls = device.platform.taken();
            bells.extend(calls.iter().filter_map(|call| match call {
                Call::Doorbell(bell) => Some(*bell),
                _ => None,
            }));
            let bell = *bells.last().unwrap();
            assert!(calls.contains(&Call::Wait {
                steps: bell,
                rows: u32::MAX
            }));
        }
    }
    assert_eq!(bells, [u32::MAX, 0, 1, 2, 3, 4]);
    // Two in flight across the wrap: the record is behind, not far ahead.
    let loaded = device.loaded.as_mut().unwrap();
    loaded.submitted = u32::MAX;
    loaded.recent = [None; 2];
    device.platform.done.steps_done = u32::MAX;
    let step = device.submit(&[0.0; 100]).unwrap();
    assert_eq!(device.platform.doorbell, 0);
    assert!(matches!(
        device.read_rows(step, 0, 0, &mut [0.0]),
        Err(DriverError::Sequence(_))
    ));
}

#[test]
fn after_a_fault_the_program_is_gone_until_it_is_set_again() {
    for behaviour in [Behaviour::Faults, Behaviour::Hangs] {
        let mut device = device();
        device.set_program(&[0, 1], 1).unwrap();
        device.platform.behaviour = behaviour;
        let err = device.run_step(&[1.0; 100], &mut [0.0; 40]).unwrap_err();
        match behaviour {
            Behaviour::Faults => assert_eq!(
                err.to_string(),
                "the device halted: bus error on a read of port 2 at address 0x800001000 (step 0); \
                 reset it and load the program again"
            ),
            // 50 ms and 50 times the 72 cycles of the stream at 200 MHz, twice.
            _ => assert!(
                matches!(err, DriverError::Timeout { after, .. } if after.as_micros() == 50_036)
            ),
        }
        assert!(matches!(
            device.submit(&[1.0; 100]),
            Err(DriverError::Sequence(_))
        ));
        assert!(matches!(
            device.read_rows(Ticket::new(0), 0, 0, &mut [0.0]),
            Err(DriverError::Sequence(_))
        ));
        device.reset().unwrap();
        device.set_program(&[0, 1], 1).unwrap();
        device.platform.taken();
        device.run_step(&[1.0; 100], &mut [0.0; 40]).unwrap();
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_allocated() {
    type Change = fn(&mut Capabilities);
    let cases: [(Change, &str); 4] = [
        (|c| c.ports = 2, "weight ports"),
        (|c| c.group_size = 128, "input channels a group"),
        (|c| c.macro_strips = 17, "strips a macro"),
        (|c| c.max_k = 64, "pass 0 has 100 input channels"),
    ];
    for (change, what) in cases {
        let mut fake = Fake::new();
        change(&mut fake.caps);
        match device_on(fake) {
            Err(DriverError::Capability(text)) => assert!(text.contains(what), "{text}"),
            Err(other) => panic!("{what}: {other}"),
            Ok(_) => panic!("{what} was accepted"),
        }
    }
    let short = weights(32, 32);
    let shape = PassShape { n: 33, k: 64 };
    let Err(err) = Device::new(
        Fake::new(),
        &[PassWeights {
            shape,
            packing: Packing::Single,
            segments: [&short; 4],
        }],
    ) else {
        panic!("a short segment was accepted");
    };
    assert_eq!(
        err.to_string(),
        "pass 0 [33, 64]: bytes of port 0's segment: expected 576, found 288"
    );
    let empty = PassWeights {
        shape: PassShape { n: 0, k: 64 },
        packing: Packing::Single,
        segments: [&[]; 4],
    };
    assert!(matches!(
        Device::new(Fake::new(), &[empty]),
        Err(DriverError::Shape { .. })
    ));
    let tall = PassWeights {
        shape: PassShape {
            n: 65_536 * 32,
            k: 64,
        },
        packing: Packing::Single,
        segments: [&[]; 4],
    };
    assert!(matches!(
        Device::new(Fake::new(), &[tall]),
        Err(DriverError::Capability(_))
    ));
    assert!(matches!(
        Device::new(Fake::new(), &[]),
        Err(DriverError::Shape { .. })
    ));
    let fake = Fake {
        limit: 20_000,
        ..Fake::new()
    };
    assert!(matches!(
        device_on(fake),
        Err(DriverError::OutOfMemory { .. })
    ));
}

#[test]
fn wrong_calls_are_refused() {
    let mut device = device();
    assert!(matches!(
        device.submit(&[0.0; 100]),
        Err(DriverError::Sequence(_))
    ));
    assert!(matches!(
        device.set_program(&[], 1),
        Err(DriverError::BadStep { .. })
    ));
    let err = device.set_program(&[0, 1, 2], 1).unwrap_err();
    assert_eq!(
        err.to_string(),
        "step 2 of the program: pass 2 does not exist, the model has passes 0 to 1"
    );
    device.set_program(&[0], 1).unwrap();
    assert!(matches!(
        device.wait_rows(Ticket::new(0), 1),
        Err(DriverError::Sequence(_))
    ));
    assert!(matches!(
        device.submit(&[0.0; 101]),
        Err(DriverError::Shape {
            expected: 100,
            found: 101,
            ..
        })
    ));
    // A refused call has not moved the ring.
    device.run_step(&[0.0; 100], &mut [0.0; 40]).unwrap();
}

/// A `kv260` device with three vectors a pass.
fn batched() -> Device<Fake> {
    let mut fake = Fake::new();
    fake.caps.profile = Profile::Kv260;
    fake.caps.batch = 3;
    let mut device = device_on(fake).unwrap();
    device.platform.taken();
    device
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

#[test]
fn vectors_alternate_by_groups_on_the_way_in_and_by_tile_rows_on_the_way_out() {
    let mut device = batched();
    assert_eq!(device.batch(), 3);
    device.set_program(&[0, 1], 3).unwrap();
    let step = device.platform.steps[0];
    assert_eq!((step.vectors, step.groups, step.tile_rows), (3, 2, 2));
    // The buffers have room for three vectors of the largest pass.
    assert_eq!(
        device.platform.steps[1].results.offset,
        3 * 2016 * 4 / 4096 * 4096 + 4096
    );
    for (value, bytes) in device.platform.buffers[Y as usize]
        .1
        .chunks_exact_mut(4)
        .enumerate()
    {
        bytes.copy_from_slice(&(value as f32).to_le_bytes());
    }
    // Two of the three vectors are given: 1 to 100 and 101 to 200.
    let x: Vec<f32> = (1..=200).map(|i| i as f32).collect();
    let ticket = device.submit(&x).unwrap();
    let written = floats(&device.platform.buffers[X as usize].1[..2 * 3 * 256]);
    for (piece, values) in written.chunks_exact(64).enumerate() {
        let (group, vector) = (piece / 3, piece % 3);
        for (i, value) in values.iter().enumerate() {
            let k = 64 * group + i;
            let given = vector < 2 && k < 100;
            let want = if given { 100 * vector + k + 1 } else { 0 };
            assert_eq!(*value, want as f32, "group {group}, vector {vector}, {i}");
        }
    }
    device.wait_rows(ticket, 40).unwrap();
    device.platform.taken();
    // Where caches are not coherent each view is a system call: one for all vectors, not one a piece.
    let results = device.results(ticket, 3..40).unwrap();
    assert_eq!(results.vectors(), 2);
    let views = device.platform.taken();
    assert!(
        matches!(views[..], [Call::Read { bytes: 768, .. }]),
        "{views:?}"
    );
    let mut y = vec![0.0; 80];
    device.finish(ticket, 40, &mut y).unwrap();
    // Row n of vector v is value (n / 32 x 3 + v) x 32 + n mod 32.
    let place = |v: usize, n: usize| ((n / 32 * 3 + v) * 32 + n % 32) as f32;
    let want: Vec<f32> = (0..80).map(|i| place(i / 40, i % 40)).collect();
    assert_eq!(y, want);
    // A part that crosses a tile row.
    let mut part = vec![0.0; 7];
    device.read_rows(ticket, 1, 30, &mut part).unwrap();
    assert_eq!(part, (30..37).map(|n| place(1, n)).collect::<Vec<_>>());
    // The third vector was not given.
    assert!(matches!(
        device.read_rows(ticket, 2, 0, &mut part),
        Err(DriverError::Shape {
            expected: 2,
            found: 3,
            ..
        })
    ));
}

#[test]
fn of_two_steps_in_flight_either_can_be_waited_for() {
    let mut device = batched();
    device.set_program(&[0, 0, 1, 1], 3).unwrap();
    let first = device.submit(&[0.0; 300]).unwrap();
    let second = device.submit(&[0.0; 100]).unwrap();
    device.platform.taken();
    device.platform.behaviour = Behaviour::StopsAtRows;
    // The first step, though it is not the newest.
    assert_eq!(device.wait_rows(first, 32).unwrap(), 32);
    assert_eq!(device.platform.taken(), [Call::Wait { steps: 1, rows: 32 }]);
    assert!(matches!(
        device.read_rows(second, 0, 0, &mut [0.0]),
        Err(DriverError::Sequence(_))
    ));
    device.platform.behaviour = Behaviour::Completes;
    assert_eq!(device.wait_rows(second, 40).unwrap(), 40);
    // Both are complete; the older can still be read, until another step takes its place.
    device.read_rows(first, 2, 0, &mut [0.0; 40]).unwrap();
    device.submit(&[0.0; 64]).unwrap();
    let expired = device.read_rows(first, 0, 0, &mut [0.0]).unwrap_err();
    assert!(expired.to_string().contains("expired"), "{expired}");
    device.read_rows(second, 0, 0, &mut [0.0]).unwrap();
    // A new program forgets all tickets, and gives out none of them again.
    device.set_program(&[0, 1], 1).unwrap();
    assert!(matches!(
        device.read_rows(second, 0, 0, &mut [0.0]),
        Err(DriverError::Sequence(_))
    ));
    assert_ne!(device.submit(&[0.0; 100]).unwrap(), first);
}

#[test]
fn the_batch_bounds_a_program_and_another_batch_is_another_program() {
    let mut device = batched();
    for vectors in [0, 4] {
        assert!(matches!(
            device.set_program(&[0], vectors),
            Err(DriverError::Shape { expected: 3, .. })
        ));
    }
    device.set_program(&[0, 1], 3).unwrap();
    device.set_program(&[0, 1], 3).unwrap();
    device.set_program(&[0, 1], 2).unwrap();
    let loads = [Call::Load { steps: 2 }, Call::Load { steps: 2 }];
    assert_eq!(device.platform.taken(), loads);
    for wrong in [0, 99, 300] {
        assert!(matches!(
            device.submit(&vec![0.0; wrong]),
            Err(DriverError::Shape { expected: 200, .. })
        ));
    }
}

#[test]
fn format_2_is_for_the_kv260_profile() {
    let shape = PassShape { n: 40, k: 320 };
    // Two tile rows of 2 + 5 x 17 strips.
    let bytes = vec![0; 2 * 87 * 16];
    let pass = PassWeights {
        shape,
        packing: Packing::Quad,
        segments: [&bytes; 4],
    };
    let Err(error) = Device::new(Fake::new(), &[pass]) else {
        panic!("profile paper took format 2");
    };
    assert!(error.to_string().contains("reads format 1"), "{error}");
    let mut fake = Fake::new();
    fake.caps.profile = Profile::Kv260;
    let mut device = Device::new(fake, &[pass]).unwrap();
    device.set_program(&[0], 1).unwrap();
    let step = device.platform.steps[0];
    assert_eq!(
        (step.packing.macro_strips(), step.segment_bytes()),
        (17, 2784)
    );
    let short = PassWeights {
        segments: [&bytes[16..]; 4],
        ..pass
    };
    assert!(matches!(
        Device::new(Fake::new(), &[short]),
        Err(DriverError::Capability(_))
    ));
}

#[test]
fn activations_are_the_same_whoever_puts_them_in_place() {
    fn on_threads_backwards(jobs: usize, job: &(dyn Fn(usize) + Sync)) {
        assert!(jobs > 1, "{jobs}");
        std::thread::scope(|scope| {
            for i in (0..jobs).rev() {
                scope.spawn(move || job(i));
            }
        });
    }
    // Four given of five, 700 of 704 numbers each: parts of unequal length, zeros at both ends.
    let x: Vec<f32> = (1..=4 * 700).map(|i| i as f32).collect();
    let written = |share: Option<Share>| {
        let mut bytes = vec![0xA5; 11 * 5 * 256];
        interleave(&x, 700, 5, &mut bytes, share.unwrap_or(on_this_thread));
        floats(&bytes)
    };
    let want: Vec<f32> = (0..11 * 5 * 64)
        .map(|at| {
            let (group, vector, i) = (at / 320, at / 64 % 5, at % 64);
            let k = 64 * group + i;
            let given = vector < 4 && k < 700;
            if given {
                (700 * vector + k + 1) as f32
            } else {
                0.0
            }
        })
        .collect();
    assert_eq!(written(None), want);
    assert_eq!(written(Some(on_threads_backwards)), want);
}
