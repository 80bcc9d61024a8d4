//! The platform over a kernel module that is not there: a file for its mappings, answers as planned.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use macromac_format::Packing;
use memmap2::{MmapOptions, MmapRaw};
use rustix::io::Errno;

use super::kernel::{Kernel, Request};
use super::order::now_ns;
use super::{LinuxPlatform, uapi};
use crate::{
    Accelerator, BufferId, BufferUse, Device, DeviceFault, DriverError, PassShape, PassWeights,
    Platform, SegmentRef, Step, SystemCalls,
};

/// Where buffer `handle` begins in the file.
const BUFFERS: u64 = 1 << 20;

struct State {
    query: uapi::macromac_query,
    buffers: u32,
    /// Answer of the next program load.
    load: Option<(Errno, [u32; 3])>,
    wait: Option<Errno>,
    /// So many waits are ended by a signal before that.
    signals: u32,
    /// Deadlines and rows of the waits.
    deadlines: Vec<(i64, u32)>,
    fault: uapi::macromac_fault,
    no_memory: bool,
    synced: Vec<(u32, u64, u64, u32)>,
    steps: Vec<(u16, u16, u64)>,
    /// Calls that were made, by number.
    calls: Vec<u32>,
}

#[derive(Clone)]
struct Fake {
    file: Rc<File>,
    device: Rc<MmapRaw>,
    state: Rc<RefCell<State>>,
}

impl Fake {
    fn new(coherent: bool) -> Self {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 * BUFFERS).unwrap();
        let device = MmapOptions::new()
            .len(64 * BUFFERS as usize)
            .map_raw(&file)
            .unwrap();
        let query = uapi::macromac_query {
            uapi_version: uapi::MACROMAC_UAPI_VERSION,
            ports: 4,
            batch: 1,
            group_size: 64,
            macro_strips: 18,
            fifo_strips: 2048,
            max_groups: 128,
            coherency: u32::from(coherent),
            max_steps: 0xFFFF,
            buffer_bytes_left: 4096,
            ..Default::default()
        };
        Self {
            file: Rc::new(file),
            device: Rc::new(device),
            state: Rc::new(RefCell::new(State {
                query,
                buffers: 0,
                load: None,
                wait: None,
                signals: 0,
                deadlines: Vec::new(),
                fault: Default::default(),
                no_memory: false,
                synced: Vec::new(),
                steps: Vec::new(),
                calls: Vec::new(),
            })),
        }
    }

    fn platform(&self) -> LinuxPlatform<Fake> {
        LinuxPlatform::new(self.clone(), "/dev/fake".into()).unwrap()
    }

    /// A word of the file, as the device sees it.
    fn word(&self, at: u64) -> &AtomicU32 {
        // SAFETY: inside the mapping, aligned, and only touched by atomics and by the platform's volatile accesses.
        unsafe { AtomicU32::from_ptr(self.device.as_mut_ptr().add(at as usize).cast()) }
    }

    fn record(&self, steps: u32, rows: u32, status: u32) {
        let at = u64::from(uapi::MACROMAC_MMAP_COMPLETION);
        self.word(at + 8).store(status, Ordering::Release);
        self.word(at + 4).store(rows, Ordering::Release);
        self.word(at).store(steps, Ordering::Release);
    }
}

impl Kernel for Fake {
    fn call<R: Request>(&self, request: &mut R) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.calls.push(R::CODE);
        let argument: *mut R = request;
        // What makes the casts below sound: the number says which structure it is (`Request`).
        match R::CODE {
            // SAFETY: as above.
            uapi::MACROMAC_IOCTL_QUERY => unsafe { *argument.cast() = state.query },
            uapi::MACROMAC_IOCTL_BUFFER_CREATE => {
                if state.no_memory {
                    return Err(Errno::NOMEM.into());
                }
                state.buffers += 1;
                // SAFETY: as above.
                let create: &mut uapi::macromac_buffer_create = unsafe { &mut *argument.cast() };
                create.handle = state.buffers;
                create.bytes = create.bytes.next_multiple_of(4096);
                create.mmap_offset = u64::from(state.buffers) * BUFFERS;
            }
            uapi::MACROMAC_IOCTL_BUFFER_SYNC => {
                // SAFETY: as above.
                let sync: &uapi::macromac_buffer_sync = unsafe { &*argument.cast() };
                state
                    .synced
                    .push((sync.handle, sync.offset, sync.bytes, sync.direction));
            }
            uapi::MACROMAC_IOCTL_PROGRAM_LOAD => {
                // SAFETY: as above.
                let load: &mut uapi::macromac_program_load = unsafe { &mut *argument.cast() };
                if let Some((error, bad)) = state.load {
                    [load.bad_step, load.bad_rule, load.bad_range] = bad;
                    return Err(error.into());
                }
                let steps = load.steps as *const uapi::macromac_step;
                // SAFETY: the call names so many steps.
                let steps = unsafe { std::slice::from_raw_parts(steps, load.step_count as usize) };
                state.steps = steps
                    .iter()
                    .map(|s| (s.groups, s.tile_rows, s.results.offset))
                    .collect();
                self.record(0, 0, 0);
            }
            uapi::MACROMAC_IOCTL_WAIT => {
                // SAFETY: as above.
                let wait: &mut uapi::macromac_wait = unsafe { &mut *argument.cast() };
                let at = u64::from(uapi::MACROMAC_MMAP_COMPLETION);
                state.deadlines.push((wait.deadline_ns, wait.rows));
                if state.signals > 0 {
                    // The kernel gives no outputs with it.
                    state.signals -= 1;
                    return Err(Errno::INTR.into());
                }
                match state.wait {
                    Some(error) => {
                        wait.steps_done = self.word(at).load(Ordering::Acquire);
                        return Err(error.into());
                    }
                    None => {
                        self.record(wait.steps, 0, 0);
                        wait.steps_done = wait.steps;
                    }
                }
            }
            // SAFETY: as above.
            uapi::MACROMAC_IOCTL_FAULT => unsafe { *argument.cast() = state.fault },
            uapi::MACROMAC_IOCTL_STATS => {
                // SAFETY: as above.
                let stats: &mut uapi::macromac_stats = unsafe { &mut *argument.cast() };
                stats.cycles = 5;
                stats.port[2].beats = 3;
            }
            _ => {}
        }
        Ok(())
    }

    fn map(&self, offset: u64, bytes: usize, write: bool) -> io::Result<MmapRaw> {
        let mut options = MmapOptions::new();
        options.offset(offset).len(bytes);
        if write {
            options.map_raw(&*self.file)
        } else {
            options.map_raw_read_only(&*self.file)
        }
    }
}

fn one_step(weights: BufferId, x: BufferId, y: BufferId) -> Step {
    let at = |buffer| SegmentRef { buffer, offset: 0 };
    Step {
        groups: 1,
        tile_rows: 1,
        report_tile_rows: 0,
        vectors: 1,
        packing: Packing::Single,
        weights: [at(weights); 4],
        activations: at(x),
        results: at(y),
    }
}

/// Weights, activations, results of a page each.
fn buffers(platform: &mut LinuxPlatform<Fake>) -> [BufferId; 3] {
    [
        BufferUse::Weights,
        BufferUse::Activations,
        BufferUse::Results,
    ]
    .map(|usage| platform.alloc(4096, usage).unwrap())
}

#[test]
fn what_cannot_be_used_says_what_to_do() {
    let text = |result: Result<_, DriverError>| match result {
        Err(error) => error.to_string(),
        Ok(_) => panic!("expected an error"),
    };
    let missing = text(LinuxPlatform::open(Path::new("/dev/no-such-device")).map(drop));
    assert!(
        missing.contains("found none; load the kernel module"),
        "{missing}"
    );
    let other = text(LinuxPlatform::open(Path::new("/dev/null")).map(drop));
    assert!(other.contains("does not answer as such"), "{other}");

    let fake = Fake::new(true);
    fake.state.borrow_mut().query.uapi_version = 0;
    let old = text(LinuxPlatform::new(fake, "/dev/fake".into()).map(drop));
    assert!(
        old.contains("needs version 1 of the kernel module's interface, found 0; install"),
        "{old}"
    );
    let fake = Fake::new(true);
    fake.state.borrow_mut().query.arithmetic = 7;
    let strange = text(LinuxPlatform::new(fake, "/dev/fake".into()).map(drop));
    assert!(strange.contains("arithmetic 7 is unknown"), "{strange}");
}

#[test]
fn data_goes_through_the_mapping_and_caches_are_kept_where_they_must() {
    for coherent in [false, true] {
        let fake = Fake::new(coherent);
        let mut platform = fake.platform();
        let [weights, x, y] = buffers(&mut platform);
        for (buffer, offset) in [(weights, 16), (x, 32)] {
            platform.write(buffer, offset, &[1, 2, 3, 4]).unwrap();
            let at = u64::from(buffer.0) * BUFFERS + offset;
            assert_eq!(fake.word(at).load(Ordering::Acquire), 0x0403_0201);
        }
        fake.word(u64::from(y.0) * BUFFERS + 4092)
            .store(0x0807_0605, Ordering::Release);
        let mut out = [0; 4];
        platform.read(y, 4092, &mut out).unwrap();
        assert_eq!(out, [5, 6, 7, 8]);
        let all = [
            (weights.0, 16, 4, uapi::MACROMAC_SYNC_FOR_DEVICE),
            (x.0, 32, 4, uapi::MACROMAC_SYNC_FOR_DEVICE),
            (y.0, 4092, 4, uapi::MACROMAC_SYNC_FOR_CPU),
        ];
        let expected = if coherent { &all[..1] } else { &all[..] };
        assert_eq!(fake.state.borrow().synced, expected);
        for (buffer, offset) in [(y, 4093), (y, u64::MAX), (BufferId(99), 0)] {
            let error = platform.read(buffer, offset, &mut out).unwrap_err();
            assert!(matches!(error, DriverError::BadBuffer { .. }), "{error}");
            let error = platform.write(buffer, offset, &out).unwrap_err();
            assert!(matches!(error, DriverError::BadBuffer { .. }), "{error}");
        }
    }
}

#[test]
fn memory_runs_out_with_numbers() {
    let fake = Fake::new(true);
    let mut platform = fake.platform();
    fake.state.borrow_mut().no_memory = true;
    let error = platform.alloc(5000, BufferUse::Weights).unwrap_err();
    assert!(
        matches!(
            error,
            DriverError::OutOfMemory {
                asked: 5000,
                left: 4096
            }
        ),
        "{error}"
    );
}

#[test]
fn refused_steps_are_named_as_by_the_simulated_board() {
    let fake = Fake::new(true);
    let mut platform = fake.platform();
    let [weights, x, y] = buffers(&mut platform);
    let mut step = one_step(weights, x, y);
    step.groups = 200;
    step.weights[2].offset = 12;
    step.results.buffer = weights;
    let cases = [
        (
            uapi::MACROMAC_RULE_GROUPS,
            0,
            "groups must be 1 to 128, found 200",
        ),
        (
            uapi::MACROMAC_RULE_TILE_ROWS,
            0,
            "tile_rows must be 1 to 65535, found 0",
        ),
        (
            uapi::MACROMAC_RULE_VECTORS,
            0,
            "vectors must be 1 to 1, found 1",
        ),
        (
            uapi::MACROMAC_RULE_STRIPS,
            0,
            "macro_strips must be 18 in profile paper, found 18",
        ),
        (
            uapi::MACROMAC_RULE_HANDLE,
            4,
            "activations: buffer 2: no such buffer: it was never allocated, or it was freed",
        ),
        (
            uapi::MACROMAC_RULE_USAGE,
            5,
            "results: buffer 1 was allocated for weights",
        ),
        (
            uapi::MACROMAC_RULE_ALIGN,
            2,
            "weights of port 2: offset must be a multiple of 4096, found 12",
        ),
        (
            uapi::MACROMAC_RULE_BOUNDS,
            5,
            "results: 128 bytes from offset 0 on are outside of buffer 1, it has 4096 bytes",
        ),
        (
            uapi::MACROMAC_RULE_PAD,
            0,
            "the kernel module refuses it by rule 10, which this program does not know",
        ),
    ];
    for (rule, range, expected) in cases {
        fake.state.borrow_mut().load = Some((Errno::INVAL, [0, rule, range]));
        match platform.load_program(&[step]) {
            Err(DriverError::BadStep { step: 0, reason }) => assert_eq!(reason, expected),
            other => panic!("expected a refused step, found {other:?}"),
        }
    }
    match platform.load_program(&[]) {
        Err(DriverError::BadStep { reason, .. }) => {
            assert_eq!(reason, "a program has 1 to 65535 steps, found 0");
        }
        other => panic!("expected a refused program, found {other:?}"),
    }
    fake.state.borrow_mut().load = Some((Errno::BUSY, [0; 3]));
    let error = platform.load_program(&[step]).unwrap_err().to_string();
    assert!(
        error.contains("another program uses the accelerator"),
        "{error}"
    );
}

#[test]
fn waits_end_by_the_record_by_the_kernel_by_time_or_by_a_fault() {
    let fake = Fake::new(true);
    let mut platform = fake.platform();
    let [weights, x, y] = buffers(&mut platform);
    let second = Duration::from_secs(1);
    let error = platform.wait(1, u32::MAX, second).unwrap_err();
    assert!(matches!(error, DriverError::Sequence(_)), "{error}");
    let error = platform.doorbell(1).unwrap_err();
    assert!(matches!(error, DriverError::Sequence(_)), "{error}");
    platform.load_program(&[one_step(weights, x, y)]).unwrap();

    platform.doorbell(7).unwrap();
    let bell = fake.word(u64::from(uapi::MACROMAC_MMAP_DOORBELL));
    assert_eq!(bell.load(Ordering::Acquire), 7);

    // By the record, without any call; sequence numbers wrap.
    fake.record(u32::MAX, 64, 0);
    assert_eq!(platform.wait(0, 64, second).unwrap().rows_done, 64);
    assert_eq!(
        platform
            .wait(u32::MAX, u32::MAX, second)
            .unwrap()
            .steps_done,
        u32::MAX
    );
    assert_eq!(platform.system_calls(), SystemCalls::default());
    // By the kernel.
    assert_eq!(platform.wait(3, u32::MAX, second).unwrap().steps_done, 3);
    assert_eq!(platform.system_calls().waits, 1);
    // By time: the kernel says so, and once more than needed does no harm.
    fake.state.borrow_mut().wait = Some(Errno::TIMEDOUT);
    match platform.wait(9, 32, Duration::from_millis(2)) {
        Err(DriverError::Timeout { steps_done: 3, .. }) => {}
        other => panic!("expected a timeout, found {other:?}"),
    }
    // By a fault, seen in the record, then by the kernel.
    let fault = |cause, range| uapi::macromac_fault {
        cause,
        port: 2,
        step: 5,
        range,
        offset: 4096,
        ..Default::default()
    };
    fake.state.borrow_mut().fault = fault(1, 2);
    fake.record(3, 0, 1);
    let error = platform.wait(9, 32, second).unwrap_err().to_string();
    assert_eq!(
        error,
        "the device halted: bus error on a read of port 2 at byte 4096 of the weights of port 2 of ring step 5 (step 3); \
         reset it and load the program again"
    );
    fake.state.borrow_mut().wait = Some(Errno::IO);
    fake.record(3, 0, 0);
    for (cause, expected) in [
        (4, DeviceFault::ReservedBits { port: 2 }),
        (5, DeviceFault::Watchdog),
        (0x100, DeviceFault::NoReaction),
        (77, DeviceFault::Unknown { code: 77 }),
    ] {
        fake.state.borrow_mut().fault = fault(cause, u32::MAX);
        match platform.wait(9, u32::MAX, second) {
            Err(DriverError::Fault { fault, step: 3 }) => assert_eq!(fault, expected),
            other => panic!("expected a fault, found {other:?}"),
        }
    }
    platform.reset().unwrap();
    assert_eq!(
        platform.completion().steps_done,
        0,
        "the page is not there after a reset"
    );
}

/// A program of one step, loaded.
fn loaded(fake: &Fake) -> LinuxPlatform<Fake> {
    let mut platform = fake.platform();
    let [weights, x, y] = buffers(&mut platform);
    platform.load_program(&[one_step(weights, x, y)]).unwrap();
    platform
}

#[test]
fn a_signal_does_not_move_the_deadline() {
    let fake = Fake::new(true);
    let mut platform = loaded(&fake);
    fake.state.borrow_mut().signals = 3;
    let begun = now_ns();
    let second = Duration::from_secs(1);
    assert_eq!(platform.wait(2, u32::MAX, second).unwrap().steps_done, 2);
    let after = now_ns();
    let deadlines = fake.state.borrow().deadlines.clone();
    // Three that a signal ended, and the one that brought the step; all until the same moment.
    assert_eq!(deadlines.len(), 4, "{deadlines:?}");
    assert!(
        deadlines.iter().all(|d| *d == deadlines[0]),
        "{deadlines:?}"
    );
    let (deadline, rows) = deadlines[0];
    assert_eq!(rows, u32::MAX);
    assert!(begun < deadline && deadline <= after + 1_000_000_000);
}

#[test]
fn signals_without_end_do_not_outlast_the_deadline() {
    let fake = Fake::new(true);
    let mut platform = loaded(&fake);
    fake.record(1, 32, 0);
    fake.state.borrow_mut().signals = u32::MAX;
    // What the error tells is the record's, for such a wait has no outputs.
    match platform.wait(3, u32::MAX, Duration::from_millis(5)) {
        Err(DriverError::Timeout {
            steps_done: 1,
            rows_done: 32,
            ..
        }) => {}
        other => panic!("expected a timeout, found {other:?}"),
    }
}

#[test]
fn a_wait_for_rows_looks_often_and_ends_by_the_deadline() {
    let fake = Fake::new(true);
    let mut platform = loaded(&fake);
    fake.state.borrow_mut().wait = Some(Errno::TIMEDOUT);
    let begun = now_ns();
    let limit = Duration::from_millis(20);
    let error = platform.wait(1, 64, limit).unwrap_err();
    let after = now_ns();
    assert!(
        matches!(error, DriverError::Timeout { after, .. } if after == limit),
        "{error}"
    );
    let deadlines = fake.state.borrow().deadlines.clone();
    let last = deadlines[deadlines.len() - 1].0;
    assert!(deadlines.len() > 1, "{deadlines:?}");
    assert!(deadlines.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    assert!(deadlines.iter().all(|(_, rows)| *rows == 64));
    // No slice ends after the deadline, however late it was asked for.
    assert!(begun < last && last <= after + 20_000_000);
    assert!(after - begun >= 20_000_000);
    // No time at all: one look at the record, one at the kernel, and no sleep.
    fake.state.borrow_mut().deadlines.clear();
    let error = platform.wait(1, u32::MAX, Duration::ZERO).unwrap_err();
    assert!(matches!(error, DriverError::Timeout { .. }), "{error}");
    assert_eq!(fake.state.borrow().deadlines.len(), 1);
}

/// First the record is watched, and only then the kernel asked to sleep until an interrupt.
#[test]
fn a_step_that_ends_soon_is_seen_and_a_long_one_is_slept_for() {
    let fake = Fake::new(true);
    let mut platform = loaded(&fake);
    fake.record(1, 0, 0);
    platform.wait(1, u32::MAX, Duration::from_secs(1)).unwrap();
    assert_eq!(platform.system_calls().waits, 0);
    let begun = std::time::Instant::now();
    platform.wait(2, u32::MAX, Duration::from_secs(1)).unwrap();
    assert!(begun.elapsed() >= super::WATCH);
    assert_eq!(platform.system_calls().waits, 1);
}

#[test]
fn a_device_that_is_lost_is_told_by_call_and_reason() {
    let fake = Fake::new(true);
    let mut platform = loaded(&fake);
    // Another file owns it, the driver was unbound.
    for (number, reason) in [
        (Errno::PERM, "not permitted"),
        (Errno::NODEV, "No such device"),
    ] {
        fake.state.borrow_mut().wait = Some(number);
        let error = platform
            .wait(1, u32::MAX, Duration::from_secs(1))
            .unwrap_err();
        assert!(
            matches!(error, DriverError::System { call: "wait", .. }),
            "{error}"
        );
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(platform.system_calls().waits, 1, "it is not asked again");
        platform = loaded(&fake);
    }
    fake.state.borrow_mut().load = Some((Errno::NODEV, [0; 3]));
    let error = platform
        .load_program(&[one_step(BufferId(1), BufferId(2), BufferId(3))])
        .unwrap_err();
    assert!(
        matches!(
            error,
            DriverError::System {
                call: "program load",
                ..
            }
        ),
        "{error}"
    );
}

/// Steps of the queue code on a coherent device that answers in time make no call at all.
#[test]
fn a_token_makes_no_system_call() {
    let fake = Fake::new(true);
    let (n, k) = (32, 64);
    let segment = vec![0; 288];
    let pass = PassWeights {
        shape: PassShape { n, k },
        packing: Packing::Single,
        segments: [&segment; 4],
    };
    let mut device = Device::new(fake.platform(), &[pass, pass]).unwrap();
    device.set_program(&[0, 1], 1).unwrap();
    let stop = AtomicBool::new(false);
    let page = |offset: u32, fake: &Fake| fake.word(offset.into()) as *const AtomicU32 as usize;
    let (bell, record) = (
        page(uapi::MACROMAC_MMAP_DOORBELL, &fake),
        page(uapi::MACROMAC_MMAP_COMPLETION, &fake),
    );
    let word = |at: usize| {
        // SAFETY: both words are in the fake's mapping, which outlives the thread.
        unsafe { &*(at as *const AtomicU32) }
    };
    let calls_before = fake.state.borrow().calls.len();
    std::thread::scope(|scope| {
        // A device that is done as soon as it is told to begin.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                word(record).store(word(bell).load(Ordering::Acquire), Ordering::Release);
                std::hint::spin_loop();
            }
        });
        let mut y = vec![1.0; n];
        for _ in 0..50 {
            device.run_step(&vec![0.5; k], &mut y).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(y.iter().all(|y| *y == 0.0));
    });
    let calls = fake.state.borrow().calls[calls_before..].to_vec();
    // On a busy machine the thread above may not run in time; then there are waits, but nothing else.
    assert!(
        calls.iter().all(|call| *call == uapi::MACROMAC_IOCTL_WAIT),
        "{calls:x?}"
    );
    let counted = device.counters().unwrap().unwrap();
    assert_eq!((counted.cycles, counted.weight_bytes), (5, 48));
    assert_eq!(
        counted.system_calls,
        SystemCalls {
            waits: calls.len() as u64,
            ..Default::default()
        }
    );
}
