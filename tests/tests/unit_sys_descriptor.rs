//! Descriptor fetch: the ring, what is handed on, and one test for every rule of architecture.md section 3.

use macromac_format::descriptor::{Descriptor, FLAG_INTERRUPT};
use macromac_rtl::{Harness, Pause, Verilated, mm_desc_fetch, mm_desc_fetch_kv260, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RING: u64 = 0x8_0000_0FC0;

/// The fetch of either profile: their ports are the same.
trait Fetch: Verilated<In = mm_desc_fetch::In, Out = mm_desc_fetch::Out> {
    const BATCH: u8;
    const FORMATS: [u8; 2];
}

impl Fetch for mm_desc_fetch::Top {
    const BATCH: u8 = 1;
    const FORMATS: [u8; 2] = [18, 18];
}

impl Fetch for mm_desc_fetch_kv260::Top {
    const BATCH: u8 = 8;
    const FORMATS: [u8; 2] = [18, 17];
}

fn good<T: Fetch>(rng: &mut ChaCha8Rng) -> Descriptor {
    let mut page = || rng.random_range(0u64..1 << 28) << 12;
    let (activations, results) = (page(), page());
    let weights = std::array::from_fn(|_| page());
    Descriptor {
        macro_strips: T::FORMATS[rng.random_range(0..2)],
        flags: rng.random_range(0..2),
        groups: rng.random_range(1..=128),
        tile_rows: rng.random_range(1..=u16::MAX),
        report_tile_rows: rng.random(),
        vectors: rng.random_range(1..=T::BATCH),
        activations,
        results,
        weights,
    }
}

/// What the fetch hands on in one cycle.
#[derive(Debug, PartialEq, Eq)]
struct Handed {
    segments: [u64; 4],
    strips: u64,
    /// Of activations and results.
    pages: [u64; 2],
    /// The step's other fields.
    step: u128,
}

fn expected(d: &Descriptor) -> Handed {
    // step_t, first field highest: activations, results (pages), groups, tile rows, report, vectors, format 2, groups times
    // vectors, tile rows times vectors, interrupt.
    let (groups, rows, vectors) = (
        u128::from(d.groups),
        u128::from(d.tile_rows),
        u128::from(d.vectors),
    );
    let mut step = groups;
    step = step << 16 | rows;
    step = step << 16 | u128::from(d.report_tile_rows);
    step = step << 5 | vectors;
    step = step << 1 | u128::from(d.macro_strips == 17);
    step = (step << 18) | (groups * vectors);
    step = (step << 20) | (rows * vectors);
    step = step << 1 | u128::from(d.flags & FLAG_INTERRUPT);
    Handed {
        segments: d.weights,
        strips: u64::from(d.tile_rows)
            * match d.macro_strips {
                17 => u64::from(d.groups) * 17 + u64::from(d.groups.div_ceil(4)),
                _ => u64::from(d.groups) * 18,
            },
        pages: [d.activations >> 12, d.results >> 12],
        step,
    }
}

fn bits(words: &[u32]) -> impl Fn(usize, usize) -> u64 + '_ {
    |from, n| {
        (0..n).fold(0, |v, i| {
            v | u64::from(words[(from + i) / 32] >> ((from + i) % 32) & 1) << i
        })
    }
}

/// Runs the fetch on a ring until `want` steps were handed on or a fault is reported.
fn fetch<T: Fetch>(
    h: &mut Harness<T>,
    ring: &[[u8; 64]],
    base: u64,
    want: usize,
    pause: Pause,
) -> (Vec<Handed>, Option<u16>) {
    let [mut seg_room, mut step_room, mut ready, mut memory] = [(); 4].map(|()| h.pauser(pause));
    h.reset();
    let mut handed = Vec::new();
    let mut beats: Vec<[u32; 4]> = Vec::new();
    h.dut.i.enable_i = 1;
    h.dut.i.ring_base_i = base;
    h.dut.i.ring_steps_i = ring.len() as u16;
    h.dut.i.start_i = 1;
    h.step();
    h.dut.i.start_i = 0;
    loop {
        let i = &mut h.dut.i;
        i.rd_ready_i = u8::from(!ready.pause());
        i.beat_i = u8::from(!memory.pause() && !beats.is_empty());
        i.beat_data_i = beats.last().copied().unwrap_or_default();
        i.seg_ready_i = if seg_room.pause() { 0b1101 } else { 0b1111 };
        i.step_ready_i = u8::from(!step_room.pause());
        h.step();
        let (i, o) = (h.dut.i, h.dut.o);
        if i.beat_i == 1 {
            beats.pop();
        }
        if o.rd_valid_o == 1 && i.rd_ready_i == 1 {
            let index = ((o.rd_addr_o - base) / 64) as usize;
            for chunk in ring[index].chunks_exact(16).rev() {
                beats.push(std::array::from_fn(|k| {
                    u32::from_le_bytes(chunk[4 * k..4 * k + 4].try_into().unwrap())
                }));
            }
        }
        assert_eq!(
            o.seg_valid_o, o.step_valid_o,
            "segments and step go together"
        );
        if o.seg_valid_o == 1 {
            assert!(
                i.seg_ready_i == 0b1111 && i.step_ready_i == 1,
                "all or none"
            );
            let addr = bits(&o.seg_addr_o);
            let step = bits(&o.step_o);
            handed.push(Handed {
                segments: std::array::from_fn(|p| addr(40 * p, 40)),
                strips: o.seg_beats_o,
                pages: [step(121, 28), step(93, 28)],
                step: u128::from(step(0, 64)) | u128::from(step(64, 29)) << 64,
            });
            h.progress();
        }
        if h.dut.o.err_valid_o == 1 {
            let index = h.dut.o.err_index_o;
            for _ in 0..50 {
                h.dut.i.beat_i = 0;
                h.step();
                assert_eq!(
                    h.dut.o.rd_valid_o, 0,
                    "nothing more is fetched after a bad descriptor"
                );
                assert_eq!(
                    h.dut.o.seg_valid_o, 0,
                    "nothing of a bad descriptor is handed on"
                );
                assert_eq!(h.dut.o.err_valid_o, 0, "reported once");
            }
            return (handed, Some(index));
        }
        if handed.len() == want {
            return (handed, None);
        }
    }
}

fn walks_the_ring<T: Fetch>() {
    for round in 0..8 {
        run(&format!("descriptor/ring/{round}"), |h: &mut Harness<T>| {
            let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
            let n = rng.random_range(1..8);
            let ring: Vec<Descriptor> = (0..n).map(|_| good::<T>(&mut rng)).collect();
            let bytes: Vec<[u8; 64]> = ring.iter().map(Descriptor::encode).collect();
            let pause = Pause::any(&mut rng);
            let (handed, error) = fetch(h, &bytes, RING, 3 * n + 1, pause);
            assert_eq!(error, None);
            for (k, got) in handed.iter().enumerate() {
                assert_eq!(*got, expected(&ring[k % n]), "step {k}");
            }
        });
    }
}

#[test]
fn walks_the_ring_of_paper() {
    walks_the_ring::<mm_desc_fetch::Top>();
}

#[test]
fn walks_the_ring_of_kv260() {
    walks_the_ring::<mm_desc_fetch_kv260::Top>();
}

/// One broken rule: the second descriptor of the ring is changed and must be refused, the first one stands.
fn refused<T: Fetch>(name: &str, break_it: impl Fn(&mut Descriptor, &mut [u8; 64])) {
    run(&format!("descriptor/{name}"), |h: &mut Harness<T>| {
        let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
        let first = good::<T>(&mut rng);
        let mut second = good::<T>(&mut rng);
        // Fields first, then bytes that no field holds.
        break_it(&mut second, &mut [0; 64]);
        let mut bytes = second.encode();
        break_it(&mut second.clone(), &mut bytes);
        let (handed, error) = fetch(h, &[first.encode(), bytes], RING, 3, Pause::Never);
        assert_eq!(
            error,
            Some(1),
            "{name}: ring index of the refused descriptor"
        );
        assert_eq!(
            handed,
            [expected(&first)],
            "{name}: the descriptor before it"
        );
    });
}

macro_rules! rules {
    ($($name:ident: $break_it:expr;)*) => {
        $(#[test]
        fn $name() {
            refused::<mm_desc_fetch::Top>(stringify!($name), $break_it);
        })*
    };
}

rules! {
    rule_version: |_, b| b[0] = 2;
    rule_version_zero: |_, b| b[0] = 0;
    rule_macro_strips: |d, _| d.macro_strips = 17;
    rule_flags: |d, _| d.flags = 2;
    rule_flags_high: |d, _| d.flags = 0x8001;
    rule_groups_zero: |d, _| d.groups = 0;
    rule_groups_above_max: |d, _| d.groups = 129;
    rule_tile_rows_zero: |d, _| d.tile_rows = 0;
    rule_vectors_zero: |d, _| d.vectors = 0;
    rule_vectors_above_batch: |d, _| d.vectors = 2;
    rule_reserved_first: |_, b| b[0x0B] = 1;
    rule_reserved_last: |_, b| b[0x0F] = 0x80;
    rule_activations_aligned: |d, _| d.activations |= 0x800;
    rule_activations_40_bits: |d, _| d.activations |= 1 << 40;
    rule_results_aligned: |d, _| d.results |= 0x10;
    rule_results_40_bits: |d, _| d.results |= 1 << 63;
    rule_weights_0_aligned: |d, _| d.weights[0] |= 1;
    rule_weights_1_aligned: |d, _| d.weights[1] |= 0x40;
    rule_weights_2_aligned: |d, _| d.weights[2] |= 0x800;
    rule_weights_3_aligned: |d, _| d.weights[3] |= 0x10;
    rule_weights_0_40_bits: |d, _| d.weights[0] |= 1 << 40;
    rule_weights_1_40_bits: |d, _| d.weights[1] |= 1 << 47;
    rule_weights_2_40_bits: |d, _| d.weights[2] |= 1 << 63;
    rule_weights_3_40_bits: |d, _| d.weights[3] |= 1 << 41;
}

#[test]
fn kv260_has_rules_of_its_own() {
    type Top = mm_desc_fetch_kv260::Top;
    refused::<Top>("macro_strips_16", |d, _| d.macro_strips = 16);
    refused::<Top>("macro_strips_19", |d, _| d.macro_strips = 19);
    refused::<Top>("macro_strips_145", |d, _| d.macro_strips = 17 | 0x80);
    refused::<Top>("vectors_zero", |d, _| d.vectors = 0);
    refused::<Top>("vectors_above_batch", |d, _| d.vectors = 9);
    refused::<Top>("vectors_16", |d, _| d.vectors = 16);
    refused::<Top>("vectors_33", |d, _| d.vectors = 33);
}

#[test]
fn rule_ring() {
    for (base, steps) in [(RING, 0), (RING + 32, 1), (RING | 1 << 40, 1)] {
        run(
            &format!("descriptor/ring-{base:x}-{steps}"),
            |h: &mut Harness<mm_desc_fetch::Top>| {
                let ring = vec![[0u8; 64]; steps];
                let (handed, error) = fetch(h, &ring, base, 1, Pause::Never);
                assert_eq!(error, Some(0));
                assert!(handed.is_empty());
            },
        );
    }
}

#[test]
fn halts_when_told() {
    run("descriptor/halt", |h: &mut Harness<mm_desc_fetch::Top>| {
        h.reset();
        let i = &mut h.dut.i;
        (i.enable_i, i.start_i, i.ring_base_i, i.ring_steps_i) = (1, 1, RING, 1);
        h.step();
        h.dut.i.start_i = 0;
        h.step();
        h.dut.i.enable_i = 0;
        for _ in 0..20 {
            h.step();
            assert_eq!(h.dut.o.rd_valid_o, 0, "asks for nothing while halted");
        }
    });
}
