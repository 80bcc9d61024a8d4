//! What the cache holds is not fed again, and no bit of what follows depends on it.

use std::path::Path;
use std::sync::Arc;

use macromac_driver::Profile;
use macromac_infer::conversation::Answer;
use macromac_infer::kernels::cache::CacheType;
use macromac_infer::{
    Checkpoint, Conversation, Event, Go, InferError, Model, Options, Sampling, Session, Source,
    Stop, Tokenizer, generate_each, golden_device, pack,
};

struct Demo {
    source: Arc<Source>,
    model: Model,
    tokenizer: Tokenizer,
}

fn demo(cache: CacheType) -> Demo {
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    pack(&Checkpoint::open(&checkpoint).unwrap(), &out, |_| {}).unwrap();
    let source = Arc::new(Source::open(&out).unwrap());
    let mut model = Model::load(source.clone()).unwrap();
    model.settings.cache = cache;
    Demo {
        model,
        tokenizer: Tokenizer::open(&checkpoint).unwrap(),
        source,
    }
}

/// Every number that tokens were chosen from.
type Bits = Vec<Vec<u32>>;

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|l| l.to_bits()).collect()
}

impl Demo {
    fn fresh(&self, profile: Profile, prompt: &[u32], options: &Options) -> (Vec<u32>, Bits) {
        let mut device = golden_device(self.source.clone(), profile).unwrap();
        let mut session = Session::new(&self.model, &mut device);
        let mut seen = Vec::new();
        let mut each = |c: &macromac_infer::Chosen| {
            seen.push(bits(c.logits));
            Ok(Go::On)
        };
        let (model, tokenizer) = (&self.model, &self.tokenizer);
        let g = generate_each(
            model,
            tokenizer,
            &mut session,
            prompt,
            options,
            model.eos(),
            &mut each,
        );
        (g.unwrap().tokens, seen)
    }

    fn next(&self, on: &mut Conversation, prompt: &[u32], options: &Options) -> (Answer, Bits) {
        let mut seen = Vec::new();
        let mut watch = |event: Event| {
            if let Event::Token(c) = event {
                seen.push(bits(c.logits));
            }
            Ok(Go::On)
        };
        let answer = on.generate(
            &self.tokenizer,
            prompt,
            options,
            self.model.eos(),
            &mut watch,
        );
        (answer.unwrap(), seen)
    }
}

#[test]
fn a_text_is_the_same_with_and_without_what_was_before() {
    for (profile, cache) in [
        (Profile::Kv260, CacheType::F16),
        (Profile::Kv260, CacheType::Q8),
        (Profile::Paper, CacheType::F32),
    ] {
        let demo = demo(cache);
        let mut device = golden_device(demo.source.clone(), profile).unwrap();
        let mut conversation = Conversation::new(&demo.model, &mut device);
        let encode = |text: &str| demo.tokenizer.encode(text).unwrap();
        let story =
            "Once upon a time there was a little dog named Max. Max liked to play in the park.";
        let options = Options {
            max_tokens: 24,
            sampling: Sampling {
                temperature: 0.8,
                repeat_penalty: 1.1,
                seed: 9,
                ..Sampling::default()
            },
            ..Options::default()
        };
        let greedy = Options {
            sampling: Sampling::default(),
            lookup: if profile == Profile::Kv260 { 5 } else { 0 },
            ..options
        };
        let (first, _) = demo.next(&mut conversation, &encode(story), &options);
        assert_eq!(first.reused, 0);
        // The last token of an answer is not fed, unless another one was, which ended it.
        let unfed = usize::from(first.generated.stop == Stop::Length);
        let answered = [encode(story), first.generated.tokens].concat();
        let end = &encode(" The end.")[..];
        for (prompt, options, reused) in [
            // The answer and a new turn behind it.
            ([&answered, end].concat(), &options, answered.len() - unfed),
            // The same once more: nothing but its last token is fed.
            (
                [&answered, end].concat(),
                &greedy,
                answered.len() + end.len() - 1,
            ),
            // Another beginning of the answer, as when a user edits what was said.
            ([&answered[..30], end].concat(), &greedy, 30),
            // Part of what is held, and nothing else.
            (answered[..9].to_vec(), &options, 8),
            (encode("Tom"), &options, 0),
        ] {
            let (answer, numbers) = demo.next(&mut conversation, &prompt, options);
            let (tokens, want) = demo.fresh(profile, &prompt, options);
            assert_eq!(answer.generated.tokens, tokens);
            assert!(
                numbers == want,
                "logits differ, {profile:?}, {cache:?}, {reused} reused"
            );
            assert_eq!(answer.reused, reused, "{profile:?}, {cache:?}");
        }
        conversation.forget();
        assert_eq!(
            demo.next(&mut conversation, &answered, &options).0.reused,
            0
        );
    }
}

#[test]
fn who_watches_may_end_it_and_what_was_fed_stays() {
    let demo = demo(CacheType::F16);
    let mut device = golden_device(demo.source.clone(), Profile::Kv260).unwrap();
    let mut conversation = Conversation::new(&demo.model, &mut device);
    let prompt = demo
        .tokenizer
        .encode(&"Max liked to play in the park. ".repeat(8))
        .unwrap();
    let options = Options {
        max_tokens: 20,
        ..Options::default()
    };
    let (want, _) = demo.fresh(Profile::Kv260, &prompt, &options);
    // Before the third piece of the prompt.
    let mut pieces = Vec::new();
    let mut watch = |event: Event| {
        if let Event::Prompt(fed) = event {
            pieces.push(fed);
        }
        Ok(if pieces.len() < 3 { Go::On } else { Go::Stop })
    };
    let answer = conversation
        .generate(&demo.tokenizer, &prompt, &options, &[], &mut watch)
        .unwrap();
    assert_eq!(
        (answer.generated.stop, answer.generated.tokens),
        (Stop::Asked, vec![])
    );
    assert_eq!(pieces, [0, 16, 32]);
    // Behind the third token.
    let mut tokens = 0;
    let mut watch = |event: Event| {
        tokens += usize::from(matches!(event, Event::Token(_)));
        Ok(if tokens < 3 { Go::On } else { Go::Stop })
    };
    let answer = conversation
        .generate(&demo.tokenizer, &prompt, &options, &[], &mut watch)
        .unwrap();
    assert_eq!(answer.reused, 32);
    assert_eq!(
        (answer.generated.stop, &answer.generated.tokens[..]),
        (Stop::Asked, &want[..3])
    );
    // An error ends it, too; then nothing is held.
    let mut watch = |_: Event| Err(InferError::Input("enough".into()));
    let e = conversation.generate(&demo.tokenizer, &prompt, &options, &[], &mut watch);
    assert_eq!(e.unwrap_err().to_string(), "enough");
    let (answer, _) = demo.next(&mut conversation, &prompt, &options);
    assert_eq!((answer.reused, answer.generated.tokens), (0, want));
    // What cannot be served changes nothing.
    let mut on = |_: Event| Ok(Go::On);
    for bad in [&[][..], &[99_999]] {
        assert!(
            conversation
                .generate(&demo.tokenizer, bad, &options, &[], &mut on)
                .is_err()
        );
    }
    assert!(demo.next(&mut conversation, &prompt, &options).0.reused > 0);
}
