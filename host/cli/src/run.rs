//! `macromac run`.

use std::time::Instant;

use anyhow::Result;
use macromac_infer::{Options, Sampling, Session, Stop, check_options, generate};
use serde::Serialize;

use crate::args::{Backend, RunArgs};
use crate::figures::{Figures, Stalls};
use crate::{device, load, output};

/// What `-o json` prints; null where a backend has no such figure.
#[derive(Serialize)]
struct Printed<'a> {
    text: &'a str,
    tokens: &'a [u32],
    pl_cycles: Option<u64>,
    cycles_per_token: Option<f64>,
    stalls: Option<Stalls>,
    bytes_streamed: Option<u64>,
    tokens_per_s: Option<f64>,
    figure: Option<&'static str>,
    sim_khz: Option<f64>,
}

/// Continues a text.
pub fn run(args: &RunArgs) -> Result<()> {
    let loaded = load::load(&args.model)?;
    let tokenizer = loaded.tokenizer()?;
    let options = Options {
        max_tokens: args.predict,
        ignore_eos: args.ignore_eos,
        sampling: Sampling {
            temperature: args.temp,
            top_k: args.top_k,
            top_p: args.top_p,
            repeat_penalty: args.repeat_penalty,
            seed: args.seed,
        },
        lookup: args.lookup,
    };
    // All that is wrong with the request is said before the device is built.
    let prompt = tokenizer.encode(&args.prompt)?;
    loaded.model.check_tokens(&prompt)?;
    let arch = loaded.model.architecture();
    check_options(&options, arch.vocab_size, usize::MAX)?;
    let mut device = device::device(&args.model, &loaded)?;
    check_options(&options, arch.vocab_size, device.batch())?;
    let profile = device.profile();
    let mut session = Session::new(&loaded.model, device.as_mut());
    let json = args.output.is_some();
    if !json {
        output::echo(&args.prompt);
    }
    let started = Instant::now();
    let g = generate(
        &loaded.model,
        tokenizer,
        &mut session,
        &prompt,
        &options,
        |text| {
            if json { Ok(()) } else { output::print(text) }
        },
    )?;
    let seconds = started.elapsed().as_secs_f64();
    if !json {
        output::print("\n")?;
    }
    if g.stop == Stop::Context {
        output::note(&format!(
            "note: the context of {} tokens is full",
            arch.max_position_embeddings
        ));
    }
    let figures = match (args.model.backend, g.measured, profile) {
        (Backend::Rtl, Some(m), Some(p)) => Some(Figures::new(&m, p, args.model.ps_model())),
        _ => None,
    };
    output::note(&format!(
        "tokens: {} prompt + {} generated in {seconds:.2} s on this machine",
        prompt.len(),
        g.tokens.len()
    ));
    device::note_calls(&args.model, device.as_mut())?;
    if let Some(lookup) = &g.lookup {
        output::note(&lookup.to_string());
    }
    if let Some(f) = &figures {
        output::note(&f.to_string());
    }
    if json {
        let f = figures.as_ref();
        let printed = Printed {
            text: &g.text,
            tokens: &g.tokens,
            pl_cycles: f.map(|f| f.pl_cycles),
            cycles_per_token: f.and_then(|f| f.cycles_per_token),
            stalls: f.map(|f| f.stalls.clone()),
            bytes_streamed: f.map(|f| f.bytes_streamed),
            tokens_per_s: f.and_then(|f| f.tokens_per_s),
            figure: f.map(|f| f.figure),
            sim_khz: f.and_then(|f| f.sim_khz),
        };
        output::print(&(serde_json::to_string(&printed)? + "\n"))?;
    }
    Ok(())
}
