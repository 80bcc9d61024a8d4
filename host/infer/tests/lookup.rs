//! Prompt-lookup decoding writes the text of plain greedy decoding, in fewer passes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use macromac_driver::{Accelerator, Counters, DriverError, PassShape, Profile, Results, Ticket};
use macromac_format::Packing;
use macromac_infer::kernels::time::{Coherency, Profile as PsProfile, PsTime};
use macromac_infer::{
    Checkpoint, Generated, Model, Options, Sampling, Session, Source, Stop, Tokenizer, cpu_device,
    generate, golden_device, pack,
};
use macromac_timing::{ModelConfig, ModelDevice};

struct Demo {
    source: Arc<Source>,
    model: Model,
    tokenizer: Tokenizer,
}

fn demo() -> Demo {
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    pack(&Checkpoint::open(&checkpoint).unwrap(), &out, |_| {}).unwrap();
    let source = Arc::new(Source::open(&out).unwrap());
    Demo {
        model: Model::load(source.clone()).unwrap(),
        tokenizer: Tokenizer::open(&checkpoint).unwrap(),
        source,
    }
}

impl Demo {
    fn run(&self, device: &mut dyn Accelerator, prompt: &str, options: &Options) -> Generated {
        let prompt = self.tokenizer.encode(prompt).unwrap();
        let mut session = Session::new(&self.model, device);
        let (model, tokenizer) = (&self.model, &self.tokenizer);
        let mut said = String::new();
        let on_text = |text: &str| {
            said += text;
            Ok(())
        };
        let g = generate(model, tokenizer, &mut session, &prompt, options, on_text).unwrap();
        assert_eq!(g.text, said);
        g
    }
}

const REPEATING: &str = "Tom saw a red ball. Tom saw a red ball. Tom saw a red ball. Tom saw a";

#[test]
fn the_text_is_that_of_plain_decoding() {
    let demo = demo();
    let mut device = golden_device(demo.source.clone(), Profile::Kv260).unwrap();
    for prompt in ["Once upon a time", REPEATING, "Ben was sad. \"Why"] {
        for (max_tokens, repeat_penalty, ignore_eos) in [
            (60, 1.0, false),
            (1, 1.0, false),
            (23, 1.2, true),
            (0, 1.0, false),
        ] {
            let plain = Options {
                max_tokens,
                ignore_eos,
                sampling: Sampling {
                    repeat_penalty,
                    ..Sampling::default()
                },
                lookup: 0,
            };
            let want = demo.run(&mut device, prompt, &plain);
            assert_eq!(want.lookup, None);
            for lookup in [1, 4, 7, 100] {
                let got = demo.run(&mut device, prompt, &Options { lookup, ..plain });
                assert_eq!(
                    (&got.text, &got.tokens, got.stop),
                    (&want.text, &want.tokens, want.stop),
                    "{prompt:?}, {lookup}"
                );
                let l = got.lookup.unwrap();
                // Each pass gives the accepted tokens and one more.
                assert_eq!(l.chosen, l.accepted + l.passes);
                let ended = usize::from(got.stop == Stop::Eos);
                assert_eq!(l.chosen, got.tokens.len() + ended);
                assert!(l.drafted <= l.passes * lookup.min(7));
            }
        }
    }
}

#[test]
fn a_text_that_repeats_takes_fewer_passes() {
    let demo = demo();
    let mut device = golden_device(demo.source.clone(), Profile::Kv260).unwrap();
    let options = Options {
        max_tokens: 40,
        lookup: 7,
        ..Options::default()
    };
    let l = demo.run(&mut device, REPEATING, &options).lookup.unwrap();
    println!("{l}");
    assert!(l.accepted > 0 && l.passes < l.chosen, "{l}");
}

/// Up to the end of the context, where drafts have to be cut.
#[test]
fn the_context_may_fill_up() {
    let demo = demo();
    let mut device = cpu_device(demo.source.clone());
    let prompt = "Tom saw a red ball. ".repeat(70);
    let plain = Options {
        max_tokens: 1000,
        ignore_eos: true,
        ..Options::default()
    };
    let want = demo.run(&mut device, &prompt, &plain);
    let got = demo.run(&mut device, &prompt, &Options { lookup: 7, ..plain });
    assert_eq!(want.stop, Stop::Context);
    assert_eq!((got.tokens, got.stop), (want.tokens, want.stop));
    assert!(got.lookup.unwrap().accepted > 0);
}

#[test]
fn where_it_cannot_work_it_is_refused() {
    let demo = demo();
    let refused = |device: &mut dyn Accelerator, temperature| {
        let options = Options {
            max_tokens: 4,
            lookup: 3,
            sampling: Sampling {
                temperature,
                ..Sampling::default()
            },
            ..Options::default()
        };
        let mut session = Session::new(&demo.model, device);
        let g = generate(
            &demo.model,
            &demo.tokenizer,
            &mut session,
            &[1, 2],
            &options,
            |_| Ok(()),
        );
        g.unwrap_err().to_string()
    };
    let mut kv260 = golden_device(demo.source.clone(), Profile::Kv260).unwrap();
    assert!(refused(&mut kv260, 0.7).contains("--temp 0"));
    let mut paper = golden_device(demo.source.clone(), Profile::Paper).unwrap();
    assert!(refused(&mut paper, 0.0).contains("--profile kv260"));
}

/// The results of one device by the clock of the model of another.
struct Clocked<D> {
    results: D,
    clock: ModelDevice,
    /// The last tickets of both.
    tickets: Vec<(Ticket, Ticket)>,
}

impl<D: Accelerator> Clocked<D> {
    fn of_clock(&self, ticket: Ticket) -> Ticket {
        let mut tickets = self.tickets.iter();
        tickets.find(|(r, _)| *r == ticket).unwrap().1
    }
}

impl<D: Accelerator> Accelerator for Clocked<D> {
    fn profile(&self) -> Option<Profile> {
        self.results.profile()
    }

    fn batch(&self) -> usize {
        self.clock.batch().min(self.results.batch())
    }

    fn passes(&self) -> &[PassShape] {
        self.results.passes()
    }

    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        self.clock.set_program(program, vectors)?;
        self.results.set_program(program, vectors)
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        let tickets = (self.results.submit(x)?, self.clock.submit(x)?);
        self.tickets.push(tickets);
        let old = self.tickets.len().saturating_sub(4);
        self.tickets.drain(..old);
        Ok(tickets.0)
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        self.results.wait_rows(ticket, rows)?;
        self.clock.wait_rows(self.of_clock(ticket), rows)
    }

    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError> {
        self.results.results(ticket, rows)
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        self.clock.elapse(ps, bytes)
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.clock.reset()?;
        self.results.reset()
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        self.clock.counters()
    }
}

/// A copying task: a story of the model's own, told twice in the prompt; greedy decoding tells it a third time.
#[test]
fn a_story_that_was_told_is_told_again_half_as_fast_again_at_least() {
    let mut demo = demo();
    let ps = PsTime::new(PsProfile::Derived, Coherency::Coherent);
    demo.model.settings.ps_time = Some(ps);
    let config = ModelConfig::kv260(Profile::Kv260, Profile::Kv260.clock_hz(), 2133);
    let results = golden_device(demo.source.clone(), Profile::Kv260).unwrap();
    let mut device = Clocked {
        clock: ModelDevice::new(config, results.passes(), Packing::Single).unwrap(),
        results,
        tickets: Vec::new(),
    };
    let plain = Options {
        max_tokens: 60,
        ignore_eos: true,
        ..Options::default()
    };
    let opening = "Once upon a time";
    let story = demo.run(&mut device, opening, &plain).text;
    let story = format!("{opening}{}", story.trim_end());
    let prompt = format!("{story}\n\n{story}\n\n{opening}");
    let rate = |g: &Generated| {
        let m = g.measured.unwrap();
        let seconds = (m.end.cycles - m.decode_start.cycles) as f64 / 300e6;
        m.decoded as f64 / seconds
    };
    // Where the model begins to stray from its story drafts are refused, too.
    let plain = Options {
        max_tokens: 48,
        ..plain
    };
    let want = demo.run(&mut device, &prompt, &plain);
    for lookup in [4, 7] {
        let got = demo.run(&mut device, &prompt, &Options { lookup, ..plain });
        assert_eq!((&got.text, &got.tokens), (&want.text, &want.tokens));
        let gain = rate(&got) / rate(&want);
        println!(
            "{lookup}: {}; {:.0} tok/s, plain {:.0}: x {gain:.2}",
            got.lookup.unwrap(),
            rate(&got),
            rate(&want)
        );
        assert!(gain >= 1.5, "{gain}");
    }
}
