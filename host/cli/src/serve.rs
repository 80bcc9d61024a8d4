//! `macromac serve`.

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, Result};
use macromac_infer::Sampler;
use macromac_serve::{About, Config, Limits, Served, Until};

use crate::args::{Backend, ModelArgs, SamplingArgs};
use crate::template::{self, TemplateArgs};
use crate::{device, load, output};

#[derive(clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Address to listen at; 0.0.0.0 for every one of this machine
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Name of the model in answers [default: the name of its folder]
    #[arg(short, long, value_name = "NAME")]
    alias: Option<String>,
    /// Key that requests must bring (Authorization: Bearer KEY); several by commas. Other users of this machine can see it: see --api-key-file
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    api_key: Vec<String>,
    /// File with such keys, one a line
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Tokens of prompt and answer together [default: as many as the model was made for]
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    ctx_size: Option<u32>,
    /// Tokens of an answer at most, whatever a request asks; -1: as the context allows
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
    predict: i64,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seed of requests that name none; -1: a random one for each
    #[arg(short, long, value_name = "SEED", default_value_t = -1, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
    seed: i64,
    /// Let the text so far propose up to N tokens, verified in one pass; for greedy requests, the text stays the same; 0: off
    #[arg(long, value_name = "N", default_value_t = 0)]
    lookup: usize,
    /// Requests that wait at most; further ones are refused with 503
    #[arg(long, value_name = "N", default_value_t = 64)]
    queue: usize,
    #[command(flatten)]
    template: TemplateArgs,
}

/// Serves until SIGINT or SIGTERM.
pub fn serve(args: ServeArgs) -> Result<()> {
    // What can be wrong is found before the model is loaded, which may take long.
    let listener = TcpListener::bind((args.host.as_str(), args.port)).with_context(|| {
        format!(
            "{}:{}: cannot listen there; give another --host or --port",
            args.host, args.port
        )
    })?;
    let address = listener.local_addr()?;
    let api_keys = keys(&args)?;
    let template = template::template(&args.template, args.model.model.as_deref())?;
    let sampling = args
        .sampling
        .with_seed(u64::try_from(args.seed).unwrap_or(0));
    let loaded = load::load(&args.model)?;
    let tokenizer = loaded.tokenizer()?.clone();
    let arch = loaded.model.architecture();
    Sampler::new(sampling, arch.vocab_size)?;
    let most = arch.max_position_embeddings;
    let context = args.ctx_size.map_or(most, |c| c as usize);
    anyhow::ensure!(
        context <= most,
        "-c {context}: expected at most {most}, the context that the model was made for"
    );
    if template.is_none() {
        output::note(
            "note: this model has no chat template: /v1/chat/completions will refuse (--chat-template-file or --chat-template chatml gives one)",
        );
    }
    if api_keys.is_empty() && !address.ip().is_loopback() {
        output::note(&format!(
            "note: anybody who reaches {address} may ask: no --api-key was given"
        ));
    }
    let folder = args.model.model.as_deref();
    let name = folder.and_then(|dir| {
        dir.canonicalize()
            .ok()?
            .file_name()?
            .to_str()
            .map(str::to_owned)
    });
    let config = Config {
        alias: args.alias.clone().or(name).unwrap_or_else(|| "demo".into()),
        path: folder.map_or_else(|| "built-in".into(), |dir| dir.display().to_string()),
        api_keys,
        context,
        predict: usize::try_from(args.predict).ok(),
        sampling,
        random_seed: args.seed < 0,
        lookup: args.lookup,
        about: about(&args.model),
        limits: Limits {
            queue: args.queue,
            ..Limits::default()
        },
        log: Box::new(output::note),
    };
    let served = Served {
        model: loaded.model.clone(),
        tokenizer,
        template,
    };
    output::note(&format!("listening on http://{address}"));
    let model = args.model;
    let build = move || device::device(&model, &loaded).map_err(|e| format!("{e:#}"));
    macromac_serve::serve(listener, served, config, Box::new(build), Until::Signals)?;
    Ok(())
}

/// What figures are of.
fn about(args: &ModelArgs) -> About {
    About {
        backend: device::name(args.backend),
        profile: device::profile(args),
        kind: match args.backend {
            Backend::Rtl => Some("rtl-cosim"),
            // Of a board, or of the simulated one behind QEMU: the program cannot tell.
            Backend::Device => Some("device"),
            Backend::Golden | Backend::Cpu => None,
        },
        clock_hz: args.clock_hz(),
    }
}

/// Keys of the command line and of the file.
fn keys(args: &ServeArgs) -> Result<Vec<String>> {
    let mut keys = args.api_key.clone();
    if let Some(path) = &args.api_key_file {
        let text = crate::text::read(path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        keys.extend(lines.map(str::to_owned));
        anyhow::ensure!(
            !keys.is_empty(),
            "{}: expected a key on a line, found none",
            path.display()
        );
    }
    anyhow::ensure!(
        keys.iter().all(|k| !k.is_empty()),
        "--api-key: expected a key, found an empty one"
    );
    Ok(keys)
}
