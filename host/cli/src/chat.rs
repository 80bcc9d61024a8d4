//! `macromac chat`: a conversation on the terminal, or by a pipe.

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use macromac_infer::{
    ChatTemplate, Conversation, Event, Go, InferError, Message, Options, Stop, Tokenizer,
    check_options,
};
use signal_hook::consts::SIGINT;

use crate::args::{ModelArgs, SamplingArgs};
use crate::load::Loaded;
use crate::template::{self, TemplateArgs};
use crate::{device, load, output};

#[derive(clap::Args)]
pub struct ChatArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// What the model is told to be, before anything is said [default: as its template has it]
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// First thing to say
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Tokens of an answer at most; -1: as the context allows
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
    predict: i64,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seed of the draws
    #[arg(short, long, default_value_t = 0)]
    seed: u64,
    /// Let the text so far propose up to N tokens, verified in one pass; greedy only, the text stays the same; 0: off
    #[arg(long, value_name = "N", default_value_t = 0)]
    lookup: usize,
    #[command(flatten)]
    template: TemplateArgs,
}

/// What can be typed besides something to say.
const HELP: &str = "/clear  forget what was said\n/exit   end (or Ctrl-D)\nCtrl-C  ends an answer; a \\ at the end of a line goes on with the next one";

/// Talks until the input ends. Answers are the result; what invites is for a terminal alone.
pub fn chat(args: &ChatArgs) -> Result<()> {
    let template = template::template(&args.template, args.model.model.as_deref())?;
    let template = template.context(
        "this model has no chat template: expected chat_template in its tokenizer_config.json, found none; \
         give one by --chat-template-file or --chat-template chatml, or continue a text by `macromac run`",
    )?;
    let loaded = load::load(&args.model)?;
    let tokenizer = loaded.tokenizer()?.clone();
    let options = Options {
        max_tokens: usize::try_from(args.predict).unwrap_or(usize::MAX),
        ignore_eos: false,
        sampling: args.sampling.with_seed(args.seed),
        lookup: args.lookup,
    };
    let vocab = loaded.model.architecture().vocab_size;
    check_options(&options, vocab, usize::MAX)?;
    let keys = Keys::new()?;
    let mut device = device::device(&args.model, &loaded)?;
    check_options(&options, vocab, device.batch())?;
    let mut talk = Talk {
        ends: [loaded.model.eos(), &template.ends(&tokenizer)].concat(),
        loaded: &loaded,
        tokenizer: &tokenizer,
        template: &template,
        options,
        keys: &keys,
        conversation: Conversation::new(&loaded.model, device.as_mut()),
        said: Vec::new(),
    };
    talk.begin(args.system.as_deref());
    let invites = std::io::stdin().is_terminal();
    if invites {
        output::note(HELP);
    }
    let mut first = args.prompt.clone();
    loop {
        let line = match first.take() {
            Some(text) => Some(text),
            None => heard(invites)?,
        };
        match line.as_deref().map(str::trim) {
            None | Some("/exit" | "/quit") => return Ok(()),
            Some("") => {}
            Some("/clear") => talk.begin(args.system.as_deref()),
            Some("/help" | "/?") => output::note(HELP),
            Some(text) => talk.answer(text)?,
        }
    }
}

/// What was typed, without the line's end; `None` at the end of the input.
fn heard(invites: bool) -> Result<Option<String>> {
    let mut text = String::new();
    loop {
        if invites {
            output::echo("> ");
        }
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let read = read.context("standard input: expected UTF-8 text")?;
        let more = line.trim_end_matches(['\n', '\r']);
        match more.strip_suffix('\\') {
            Some(more) if read > 0 => text = text + more + "\n",
            _ if read == 0 && text.is_empty() => return Ok(None),
            _ => return Ok(Some(text + more)),
        }
    }
}

/// Ctrl-C: ends an answer while there is one, and else the program.
struct Keys {
    pressed: Arc<AtomicBool>,
    idle: Arc<AtomicBool>,
}

impl Keys {
    fn new() -> Result<Self> {
        let keys = Keys {
            pressed: Arc::default(),
            idle: Arc::new(AtomicBool::new(true)),
        };
        let what = "cannot listen to Ctrl-C";
        signal_hook::flag::register_conditional_default(SIGINT, keys.idle.clone()).context(what)?;
        signal_hook::flag::register(SIGINT, keys.pressed.clone()).context(what)?;
        Ok(keys)
    }
}

struct Talk<'a> {
    loaded: &'a Loaded,
    tokenizer: &'a Tokenizer,
    template: &'a ChatTemplate,
    ends: Vec<u32>,
    options: Options,
    keys: &'a Keys,
    conversation: Conversation<'a>,
    said: Vec<Message>,
}

impl Talk<'_> {
    fn begin(&mut self, system: Option<&str>) {
        self.said = system
            .map(|text| Message::new("system", text))
            .into_iter()
            .collect();
    }

    /// Prints the answer to `text`; one that is refused or was ended by Ctrl-C before its first word was not said.
    fn answer(&mut self, text: &str) -> Result<()> {
        self.said.push(Message::new("user", text));
        let prompt = self.template.render(&self.said);
        let prompt = prompt.and_then(|p| self.tokenizer.encode(&p));
        let checked = prompt.and_then(|p| self.loaded.model.check_tokens(&p).map(|()| p));
        let prompt = match checked {
            Ok(prompt) => prompt,
            Err(e) => {
                self.said.pop();
                output::note(&format!("error: {e}; /clear begins anew"));
                return Ok(());
            }
        };
        self.keys.pressed.store(false, Ordering::Relaxed);
        self.keys.idle.store(false, Ordering::Relaxed);
        let mut shown = 0;
        let answer = self.conversation.generate(
            self.tokenizer,
            &prompt,
            &self.options,
            &self.ends,
            &mut |event| {
                if let Event::Token(chosen) = event {
                    shown += chosen.text.len();
                    output::print(chosen.text)?;
                }
                let stop = self.keys.pressed.load(Ordering::Relaxed);
                Ok::<Go, InferError>(if stop { Go::Stop } else { Go::On })
            },
        );
        self.keys.idle.store(true, Ordering::Relaxed);
        let g = answer?.generated;
        output::print(&format!("{}\n", &g.text[shown..]))?;
        if g.stop == Stop::Context {
            output::note("note: the context is full; /clear begins anew");
        }
        if g.tokens.is_empty() && g.stop == Stop::Asked {
            self.said.pop();
        } else {
            self.said.push(Message::new("assistant", &g.text));
        }
        Ok(())
    }
}
