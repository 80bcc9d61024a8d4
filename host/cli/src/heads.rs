//! `macromac heads`.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::ValueEnum;
use macromac_format::{Head, Image};
use macromac_infer::eval::perplexity::Perplexity;
use macromac_infer::eval::traffic::{Traffic, traffic};
use macromac_infer::{Checkpoint, Source, Tokenizer, pack_head};
use serde::Serialize;

use crate::args::{Backend, ModelArgs, QuantizerArgs};
use crate::load::{self, Loaded};
use crate::perplexity::{TextArgs, figure};
use crate::{demo, device, output, pack};

#[derive(clap::Args)]
pub struct HeadsArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub text: TextArgs,
    #[command(flatten)]
    pub quantizer: QuantizerArgs,
    /// Format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "md")]
    pub output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Markdown table
    Md,
    /// One JSON object
    Json,
}

#[derive(Serialize)]
struct Printed {
    /// How the layers are quantized: `rtn` or `awq`.
    method: String,
    group_size: usize,
    backend: String,
    /// Null where products are plain FP32.
    profile: Option<&'static str>,
    windows: usize,
    ctx_size: usize,
    second_half: bool,
    /// The checkpoint as it is, computed in FP32.
    fp32: Figure,
    heads: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    head: &'static str,
    /// Length of model.bin.
    bytes: u64,
    /// Bytes of a token.
    ddr: Traffic,
    ddr_total: u64,
    #[serde(flatten)]
    figure: Figure,
    /// Percent of the perplexity over `fp32`.
    over_fp32_percent: f64,
}

#[derive(Serialize)]
struct Figure {
    ppl: f64,
    /// Null for a single token.
    stderr: f64,
    nll: f64,
    tokens_scored: usize,
}

impl From<Perplexity> for Figure {
    fn from(p: Perplexity) -> Self {
        Figure {
            ppl: p.ppl,
            stderr: p.stderr,
            nll: p.nll,
            tokens_scored: p.tokens_scored,
        }
    }
}

/// Packs a checkpoint with each head and measures what it costs. The layers are quantized once.
pub fn heads(args: &HeadsArgs) -> Result<()> {
    let text = args.text.read()?;
    if let Some(threads) = args.model.threads {
        macromac_infer::set_threads(threads.into())?;
    }
    // Kept until the end: its tokenizer goes into each image.
    let built_in = match &args.model.model {
        Some(_) => None,
        None => Some(demo::extract()?),
    };
    let extracted = built_in.as_ref().map(|t| t.path().to_owned());
    let dir = args.model.model.clone().or(extracted).unwrap_or_default();
    let (source, tokenizer) = (Source::open(&dir)?, Tokenizer::open(&dir)?);
    let plain = ModelArgs {
        backend: Backend::Cpu,
        ..args.model.clone()
    };
    let as_it_is = load::ready(&plain, source, Some(tokenizer))?;
    let checkpoint = checkpoint(&as_it_is)?;
    let options = pack::options(
        &args.quantizer,
        macromac_infer::Format::Image,
        Some(Head::ALL[0]),
        checkpoint,
    )?;
    let tokens = as_it_is.tokenizer()?.encode(&text)?;
    let windows = args.text.windows(&as_it_is, &tokens)?;
    let measured = |backend, loaded: &Loaded| {
        let model = ModelArgs {
            backend,
            ..args.model.clone()
        };
        figure(&model, loaded, &windows, &args.text.options())
    };

    output::note("the checkpoint in FP32");
    let fp32 = measured(Backend::Cpu, &as_it_is)?;
    let temp = demo::temp_dir()?;
    let place = |head: Head| -> PathBuf { temp.path().join(head.name()) };
    let packing = "packing into a temporary image (TMPDIR says where)";
    output::note(&format!("layers: {}", options.describe_layers(checkpoint)));
    pack::with_bar(checkpoint, &place(Head::ALL[0]), &options).context(packing)?;
    let mut rows = Vec::new();
    let mut quantization = None;
    for head in Head::ALL {
        output::note(&format!("head {}", head.name()));
        if head != Head::ALL[0] {
            let layers = Image::open(&place(Head::ALL[0]))?;
            pack_head(checkpoint, &layers, head, &place(head)).context(packing)?;
        }
        let image = Image::open(&place(head))?;
        let (bytes, ddr) = (image.manifest().bin_bytes, traffic(&image));
        quantization = Some(image.manifest().quantization.clone());
        let loaded = load::ready(&args.model, Source::Image(image), None)?;
        let p = measured(args.model.backend, &loaded)?;
        rows.push(Row {
            head: head.name(),
            bytes,
            ddr,
            ddr_total: ddr.total(),
            figure: p.into(),
            over_fp32_percent: 100.0 * (p.ppl / fp32.ppl - 1.0),
        });
    }
    let quantization = quantization.context("there is at least one head")?;
    let printed = Printed {
        method: quantization.method,
        group_size: quantization.group_size,
        backend: device::name(args.model.backend),
        profile: device::profile(&args.model),
        windows: windows.len(),
        ctx_size: args.text.ctx_size,
        second_half: args.text.second_half,
        fp32: fp32.into(),
        heads: rows,
    };
    Ok(output::print(&match args.output {
        Format::Json => serde_json::to_string(&printed)? + "\n",
        Format::Md => table(&printed),
    })?)
}

fn checkpoint(loaded: &Loaded) -> Result<&Checkpoint> {
    match Arc::as_ref(&loaded.source) {
        Source::Checkpoint(c) => Ok(c),
        Source::Image(i) => anyhow::bail!(
            "{}: expected a checkpoint, found an image, which has one head already; give the \
             checkpoint it was packed from",
            i.dir().display()
        ),
    }
}

fn table(p: &Printed) -> String {
    let mut text = String::from(
        "| head | model.bin | PL weights | PL data | PS reads | DDR a token | PPL | over FP32 |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut line = |cells: [String; 8]| {
        writeln!(text, "| {} |", cells.join(" | ")).expect("writing to a string does not fail");
    };
    let ppl = |f: &Figure| format!("{:.4} +/- {:.5}", f.ppl, f.stderr);
    let none = || "-".to_owned();
    line([
        "none: checkpoint in FP32".into(),
        none(),
        none(),
        none(),
        none(),
        none(),
        ppl(&p.fp32),
        none(),
    ]);
    for r in &p.heads {
        line([
            r.head.to_owned(),
            r.bytes.to_string(),
            r.ddr.pl_weights.to_string(),
            r.ddr.pl_data.to_string(),
            r.ddr.ps_reads.to_string(),
            r.ddr_total.to_string(),
            ppl(&r.figure),
            format!("{:+.2} %", r.over_fp32_percent),
        ]);
    }
    text + &format!(
        "\nlayers: {}, group size {}; perplexity: backend {}, {} windows of {}, {} tokens scored\n\
         Bytes, counted from the image. PL weights: all segments of a token's program. PL data: activations \
         read and results written by its steps. PS reads: an FP16 head, the token's embedding, norms and \
         biases in FP32; the key-value cache, equal for all heads, is left out.\n",
        p.method, p.group_size, p.backend, p.windows, p.ctx_size, p.fp32.tokens_scored
    )
}
