//! Several positions a pass: the bits of one position after the other, on every backend, head and image format.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use macromac_driver::{Accelerator, Counters, DriverError, PassShape, Profile, Results, Ticket};
use macromac_format::{GROUP, Head, Packing};
use macromac_golden::group::{Group, convert};
use macromac_infer::{
    Checkpoint, InferError, Model, PackOptions, Session, Source, cpu_device, golden_device,
    pack_with,
};

const TOKENS: [u32; 37] = [
    5, 17, 3, 99, 250, 1, 44, 44, 44, 7, 300, 12, 5, 17, 3, 99, 8, 2, 61, 90, 33, 250, 1, 44, 6,
    77, 123, 9, 9, 10, 200, 201, 202, 31, 5, 17, 3,
];

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/tiny-a/fp")
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo")
}

/// An image of a checkpoint; its files stay mapped when the folder is gone.
fn image(checkpoint: &Path, head: Head, packing: Packing) -> Arc<Source> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    let options = PackOptions {
        head: Some(head),
        packing,
        ..PackOptions::default()
    };
    pack_with(
        &Checkpoint::open(checkpoint).unwrap(),
        &out,
        &options,
        |_| {},
    )
    .unwrap();
    Arc::new(Source::open(&out).unwrap())
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|v| v.to_bits()).collect()
}

/// Logits after every token, one token at a time.
fn one_by_one(model: &Model, device: &mut dyn Accelerator, tokens: &[u32]) -> Vec<Vec<u32>> {
    let mut session = Session::new(model, device);
    let each = tokens.iter();
    each.map(|t| bits(session.logits_after(*t).unwrap()))
        .collect()
}

fn all(model: &Model, device: &mut dyn Accelerator, tokens: &[u32]) -> Vec<Vec<u32>> {
    let mut session = Session::new(model, device);
    let mut got = Vec::new();
    let each = |i, logits: &[f32]| {
        assert_eq!(i, got.len());
        got.push(bits(logits));
        Ok(())
    };
    session.logits_each(tokens, each).unwrap();
    assert_eq!(session.position(), tokens.len());
    got
}

/// Batches of every length, in every order, give the logits of the tokens one by one.
fn same_in_batches(source: &Arc<Source>, device: &mut dyn Accelerator) {
    let model = Model::load(source.clone()).unwrap();
    let want = one_by_one(&model, device, &TOKENS);
    assert!(all(&model, device, &TOKENS) == want);
    for length in 1..=TOKENS.len() {
        let mut session = Session::new(&model, device);
        session.feed_batch(&TOKENS[..length - 1]).unwrap();
        let logits = session.logits_after(TOKENS[length - 1]).unwrap();
        assert!(bits(logits) == want[length - 1], "{length} tokens");
    }
    // Back and on again, with wrong tokens in between.
    let mut session = Session::new(&model, device);
    session.feed_batch(&TOKENS[..20]).unwrap();
    session.feed_batch(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
    session.rewind(11);
    session.expect_vectors(5);
    let mut at = 11;
    for piece in [1, 3, 5, 6, 1] {
        let tokens = &TOKENS[at..at + piece];
        session
            .logits_each(tokens, |i, logits| {
                assert!(bits(logits) == want[at + i], "position {}", at + i);
                Ok(())
            })
            .unwrap();
        at += piece;
    }
}

#[test]
fn golden_kv260_for_every_head() {
    for head in Head::ALL {
        let source = image(&tiny(), head, Packing::Single);
        same_in_batches(
            &source,
            &mut golden_device(source.clone(), Profile::Kv260).unwrap(),
        );
    }
}

#[test]
fn golden_paper_and_cpu() {
    let source = image(&tiny(), Head::Int4, Packing::Single);
    let mut paper = golden_device(source.clone(), Profile::Paper).unwrap();
    assert_eq!(paper.batch(), 1);
    same_in_batches(&source, &mut paper);
    same_in_batches(&source, &mut cpu_device(source.clone()));
    let checkpoint = Arc::new(Source::open(&tiny()).unwrap());
    same_in_batches(&checkpoint, &mut cpu_device(checkpoint.clone()));
}

/// Both image formats hold the same weights, and the tighter one is for the `kv260` profile alone.
#[test]
fn image_format_2_gives_the_same_logits() {
    let logits = |packing, head| {
        let source = image(&tiny(), head, packing);
        let model = Model::load(source.clone()).unwrap();
        let golden = all(
            &model,
            &mut golden_device(source.clone(), Profile::Kv260).unwrap(),
            &TOKENS,
        );
        let cpu = all(&model, &mut cpu_device(source.clone()), &TOKENS);
        (golden, cpu, source)
    };
    for head in [Head::Int4, Head::Int8] {
        let (golden, cpu, one) = logits(Packing::Single, head);
        let (tight, cpu_tight, two) = logits(Packing::Quad, head);
        assert!(golden == tight && cpu == cpu_tight, "{head:?}");
        let bytes = |source: &Source| match source {
            Source::Image(i) => i.passes().iter().map(|p| p.segments[0].bytes).sum::<u64>(),
            Source::Checkpoint(_) => 0,
        };
        assert!(bytes(&two) < bytes(&one));
        let refused = golden_device(two, Profile::Paper).unwrap_err().to_string();
        assert!(refused.contains("image format 2"), "{refused}");
    }
}

/// What a logit may differ by from plain FP32 on the same image: 2e-3 in the trained model. Activations lose what lies below
/// 2^-15 of their group's largest, so a model of random weights, whose logits hang on small activations more, is further off. It is rounding and nothing else: plain
/// FP32 that rounds activations the same way is not much nearer, for a difference in the last place flips roundings.
#[test]
fn kv260_is_close_to_cpu() {
    for (checkpoint, tolerance) in [(demo(), 2e-3), (tiny(), 5e-3)] {
        let source = image(&checkpoint, Head::Int4, Packing::Single);
        let model = Model::load(source.clone()).unwrap();
        let golden = all(
            &model,
            &mut golden_device(source.clone(), Profile::Kv260).unwrap(),
            &TOKENS,
        );
        let cpu = all(&model, &mut cpu_device(source.clone()), &TOKENS);
        let mut rounding = Recorder {
            round: true,
            ..recorder_of(cpu_device(source.clone()))
        };
        let rounded = all(&model, &mut rounding, &TOKENS);
        let worst = |other: &[Vec<u32>]| {
            let pairs = golden.iter().flatten().zip(other.iter().flatten());
            pairs
                .map(|(a, b)| (f32::from_bits(*a) - f32::from_bits(*b)).abs())
                .fold(0.0, f32::max)
        };
        println!(
            "{}: largest difference of a logit {:e}; with rounded activations {:e}",
            checkpoint.display(),
            worst(&cpu),
            worst(&rounded)
        );
        assert!(worst(&cpu) <= tolerance, "{}", worst(&cpu));
        assert!(worst(&rounded) <= worst(&cpu), "{}", worst(&rounded));
        assert!(golden != cpu, "another arithmetic gives other bits");
    }
}

/// Activations as `kv260` takes them; whole groups.
fn rounded(x: &[f32]) -> Vec<f32> {
    assert_eq!(x.len() % GROUP, 0);
    let round = |group: &[f32]| {
        let Group { exponent, m } = convert(group.try_into().unwrap());
        m.map(|m| f32::from(m) * 2f32.powi(i32::from(exponent) - 127 - 14))
    };
    x.chunks(GROUP).flat_map(round).collect()
}

/// A device that writes down what it is asked.
struct Recorder<D> {
    inner: D,
    programs: Vec<(Vec<usize>, usize)>,
    /// Values of each submission.
    submitted: Vec<usize>,
    /// Submissions not yet read, at each submission.
    in_flight: usize,
    most_in_flight: usize,
    fail_at: Option<usize>,
    /// Round activations.
    round: bool,
}

impl<D: Accelerator> Accelerator for Recorder<D> {
    fn profile(&self) -> Option<Profile> {
        self.inner.profile()
    }
    fn batch(&self) -> usize {
        self.inner.batch()
    }
    fn passes(&self) -> &[PassShape] {
        self.inner.passes()
    }
    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        self.programs.push((program.to_vec(), vectors));
        self.inner.set_program(program, vectors)
    }
    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        if self.fail_at == Some(self.submitted.len()) {
            self.fail_at = None;
            return Err(DriverError::Simulation("as the test asked".into()));
        }
        self.submitted.push(x.len());
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        if self.round {
            return self.inner.submit(&rounded(x));
        }
        self.inner.submit(x)
    }
    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        self.in_flight -= 1;
        self.inner.wait_rows(ticket, rows)
    }
    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError> {
        self.inner.results(ticket, rows)
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        self.inner.elapse(ps, bytes)
    }
    fn reset(&mut self) -> Result<(), DriverError> {
        self.inner.reset()
    }
    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        self.inner.counters()
    }
}

fn recorder(source: &Arc<Source>) -> Recorder<impl Accelerator + use<>> {
    recorder_of(golden_device(source.clone(), Profile::Kv260).unwrap())
}

fn recorder_of<D>(inner: D) -> Recorder<D> {
    Recorder {
        inner,
        programs: Vec::new(),
        submitted: Vec::new(),
        in_flight: 0,
        most_in_flight: 0,
        fail_at: None,
        round: false,
    }
}

#[test]
fn two_batches_take_turns() {
    let source = image(&tiny(), Head::Int4, Packing::Single);
    let model = Model::load(source.clone()).unwrap();
    let mut device = recorder(&source);
    let layers = model.architecture().num_hidden_layers;
    let k: Vec<usize> = device.passes().iter().map(|p| p.k).collect();
    // 8 + 8, 8 + 4 positions, then one that asks for logits.
    Session::new(&model, &mut device)
        .feed_batch(&TOKENS[..28])
        .unwrap();
    let program: Vec<usize> = (0..4 * layers).flat_map(|pass| [pass, pass]).collect();
    assert_eq!(device.programs, [(program.clone(), 8)]);
    let round = |second: usize| {
        program
            .chunks(2)
            .flat_map(move |p| [(p[0], 8), (p[0], second)])
    };
    let want: Vec<usize> = round(8)
        .chain(round(4))
        .map(|(pass, v)| v * k[pass])
        .collect();
    assert_eq!(device.submitted, want);
    assert_eq!(device.most_in_flight, 2);
    // A batch that is alone, then a single position without and one with logits.
    device.programs.clear();
    let mut session = Session::new(&model, &mut device);
    session.feed_batch(&TOKENS[..7]).unwrap();
    session.feed(1).unwrap();
    session.logits_after(2).unwrap();
    session.logits_after(3).unwrap();
    let single: Vec<usize> = (0..4 * layers).collect();
    let with_head: Vec<usize> = (0..4 * layers + 1).collect();
    let want = [(single.clone(), 8), (single, 1), (with_head, 1)];
    assert_eq!(device.programs, want);
}

/// After an error the session stands where it stood, and goes on with the same bits.
#[test]
fn a_failed_round_leaves_nothing_behind() {
    let source = image(&tiny(), Head::Int4, Packing::Single);
    let model = Model::load(source.clone()).unwrap();
    let want = one_by_one(&model, &mut recorder(&source), &TOKENS);
    for fail_at in [0, 1, 5, 6, 9] {
        let mut device = recorder(&source);
        device.fail_at = Some(fail_at);
        let mut session = Session::new(&model, &mut device);
        assert!(matches!(
            session.feed_batch(&TOKENS[..12]),
            Err(InferError::Driver(_))
        ));
        assert_eq!(session.position(), 0);
        session.feed_batch(&TOKENS[..12]).unwrap();
        assert!(bits(session.logits_after(TOKENS[12]).unwrap()) == want[12]);
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_fed() {
    let source = image(&demo(), Head::Int4, Packing::Single);
    let model = Model::load(source.clone()).unwrap();
    let mut device = recorder(&source);
    let context = model.architecture().max_position_embeddings;
    let mut session = Session::new(&model, &mut device);
    session.feed_batch(&[]).unwrap();
    session.feed_batch(&vec![1; context - 3]).unwrap();
    for tokens in [&[1; 4][..], &[1, u32::MAX]] {
        assert!(matches!(
            session.feed_batch(tokens),
            Err(InferError::Input(_))
        ));
        assert_eq!(session.position(), context - 3);
    }
    session.feed_batch(&[1; 3]).unwrap();
    assert!(
        session
            .logits_after(1)
            .unwrap_err()
            .to_string()
            .contains("context is full")
    );
}
