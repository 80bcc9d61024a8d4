//! `macromac run`.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use macromac_infer::{Generated, Options, Session, Source, Stop, check_options, generate};
use serde::Serialize;
use serde_json::json;

use crate::args::{Backend, RunArgs};
use crate::figures::{Figures, Stalls};
use crate::load::Loaded;
use crate::trace::timeline::Shape;
use crate::trace::{self, Traced, chrome};
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
        sampling: args.sampling.with_seed(args.seed),
        lookup: args.lookup,
    };
    // All that is wrong with the request is said before the device is built.
    let prompt = tokenizer.encode(&args.prompt)?;
    loaded.model.check_tokens(&prompt)?;
    let arch = loaded.model.architecture();
    check_options(&options, arch.vocab_size, usize::MAX)?;
    let json = args.output.is_some();
    let tell = |session: &mut Session| -> Result<Generated> {
        check_options(&options, arch.vocab_size, session.device().batch())?;
        if !json {
            output::echo(&args.prompt);
        }
        let on_text = |text: &str| if json { Ok(()) } else { output::print(text) };
        Ok(generate(
            &loaded.model,
            tokenizer,
            session,
            &prompt,
            &options,
            on_text,
        )?)
    };
    let started = Instant::now();
    let mut calls = None;
    let g = match &args.timeline {
        None => {
            let mut device = device::device(&args.model, &loaded)?;
            let g = tell(&mut Session::new(&loaded.model, device.as_mut()))?;
            calls = device::calls(&args.model, device.as_mut())?;
            g
        }
        Some(path) => timeline(args, &loaded, path, tell)?,
    };
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
    let figures = match (args.model.backend, g.measured) {
        (Backend::Rtl, Some(m)) => Some(Figures::new(
            &m,
            args.model.profile.into(),
            args.model.clock_hz(),
            args.model.ps_model(),
        )),
        _ => None,
    };
    output::note(&format!(
        "tokens: {} prompt + {} generated in {seconds:.2} s on this machine",
        prompt.len(),
        g.tokens.len()
    ));
    if let Some(calls) = &calls {
        output::note(calls);
    }
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

/// Tells the story on a device that is watched, and writes when what happened.
fn timeline(
    args: &RunArgs,
    loaded: &Loaded,
    path: &Path,
    tell: impl FnOnce(&mut Session) -> Result<Generated>,
) -> Result<Generated> {
    let Source::Image(image) = &*loaded.source else {
        anyhow::bail!("--timeline: expected --backend rtl, found cpu, which keeps no time");
    };
    let mut device = device::watched(&args.model, loaded)?;
    let (clock_hz, ps_time) = (args.model.clock_hz(), &loaded.model.settings.ps_time);
    let mut traced = Traced::new(device.as_mut(), clock_hz, ps_time.is_some())?;
    let mut session = Session::new(&loaded.model, &mut traced);
    session.log_kernels();
    let g = tell(&mut session)?;
    // What the PS did since the last step is time, too.
    session.settle()?;
    let kernels = session.log_kernels();
    let record = traced.end(kernels)?;
    let shape = Shape {
        architecture: loaded.model.architecture(),
        layouts: (0..image.manifest().passes.len())
            .map(|pass| image.layout(pass))
            .collect(),
        clock_hz,
        profile: args.model.profile.into(),
        ps_time: ps_time.as_ref(),
    };
    let about = json!({
        "program": "macromac run",
        "figure": "rtl-cosim",
        "profile": device::profile(&args.model),
        "clock_mhz": clock_hz as f64 / 1e6,
        "ps_time": args.model.ps_model(),
    });
    chrome::write(
        path,
        &chrome::trace(&trace::timeline::timeline(&record, &shape), about),
    )?;
    output::note(&format!("wrote {}", path.display()));
    Ok(g)
}
