//! `macromac bench --sensitivity`: one thing changed at a time.

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use super::device::Board;
use super::report::{Print, Row, csv, markdown};
use super::setup::{Setup, Weights};
use super::{BenchArgs, Test, Timer, measure};
use crate::args::{Ddr, HeadArg, ProfileArg};
use crate::output;

/// A change of what the command line says.
type Change = Box<dyn Fn(&mut BenchArgs)>;

/// A line of the table.
#[derive(Serialize)]
struct Line {
    /// What is changed: `clock`, `ddr`, ...
    parameter: &'static str,
    /// To what.
    value: String,
    /// Tokens in the context before.
    depth: usize,
    /// Tokens a second, generating.
    tg_tokens_per_s: f64,
    /// Of the memory's peak, generating.
    tg_ddr_share_of_peak: f64,
    /// Tokens a second, reading a prompt.
    pp_tokens_per_s: f64,
    /// Perplexity of the demonstration model with this head and profile; null where it was not given.
    demo_ppl: Option<f64>,
    head: &'static str,
    profile: &'static str,
    figure: &'static str,
}

/// What is changed, and to what.
fn changes() -> Vec<(&'static str, String, Change)> {
    let mut all: Vec<(&'static str, String, Change)> = Vec::new();
    let mut add = |parameter, value: String, change: Change| all.push((parameter, value, change));
    add("none", "as the headline".into(), Box::new(|_| {}));
    for mhz in [200, 250] {
        add(
            "clock",
            format!("{mhz} MHz"),
            Box::new(move |a| a.clock = Some(mhz)),
        );
    }
    add(
        "memory",
        "2400 MT/s".into(),
        Box::new(|a| a.ddr = Ddr::Mt2400),
    );
    add(
        "caches",
        "not coherent".into(),
        Box::new(|a| a.non_coherent = true),
    );
    for kib in [128, 512, 1024, 3072] {
        add(
            "prefetch",
            format!("{kib} KiB"),
            Box::new(move |a| a.fifo_kib = Some(kib)),
        );
    }
    for batch in [1, 4, 16] {
        add(
            "batch",
            batch.to_string(),
            Box::new(move |a| a.batch = Some(batch)),
        );
    }
    for head in [HeadArg::Int8, HeadArg::Fp16] {
        let value = head.to_possible_value().expect("no head is hidden");
        add(
            "head",
            value.get_name().to_owned(),
            Box::new(move |a| a.head = head),
        );
    }
    for depth in [512, 2048] {
        add(
            "context",
            depth.to_string(),
            Box::new(move |a| a.n_depth = vec![depth]),
        );
    }
    add("PS cost", "x 2".into(), Box::new(|a| a.ps_factor *= 2.0));
    add(
        "profile",
        "paper, 200 MHz".into(),
        Box::new(|a| a.profile = ProfileArg::Paper),
    );
    all
}

/// Prints the table.
pub fn sensitivity(args: &BenchArgs) -> Result<()> {
    anyhow::ensure!(
        args.backend == Timer::Model,
        "--sensitivity: expected --backend model, found rtl; measure single rows by the RTL with the options that the table varies"
    );
    let ppl = perplexities(&args.heads)?;
    let (tg, pp) = (args.n_gen[0], args.n_prompt[0]);
    anyhow::ensure!(
        tg > 0 && pp > 0,
        "--sensitivity: expected tokens to generate and to read, found -n {tg} -p {pp}"
    );
    let mut lines = Vec::new();
    let mut weights: Option<(HeadArg, Weights)> = None;
    for (parameter, value, change) in changes() {
        output::note(&format!("{parameter}: {value}"));
        let mut args = args.clone();
        change(&mut args);
        let setup = Setup::new(&args)?;
        let packed = match weights.take() {
            Some((head, packed)) if head == args.head => packed,
            _ => Weights::new(&args)?,
        };
        let depth = args.n_depth[0];
        let context = packed.architecture().max_position_embeddings;
        if depth + tg.max(pp) > context {
            output::note(&format!(
                "  left out: the model's context is {context} tokens"
            ));
            weights = Some((args.head, packed));
            continue;
        }
        let measured = |prompt, tokens| -> Result<Row> {
            let board = Board::new(setup.clone(), &packed)?;
            let test = Test {
                prompt,
                tokens,
                depth,
            };
            measure::row(&args, &board, test)
        };
        let (generated, read) = (measured(false, tg)?, measured(true, pp)?);
        lines.push(Line {
            parameter,
            value,
            depth,
            tg_tokens_per_s: generated.tokens_per_s,
            tg_ddr_share_of_peak: generated.ddr_share_of_peak,
            pp_tokens_per_s: read.tokens_per_s,
            demo_ppl: ppl
                .iter()
                .find(|p| p.0 == generated.profile && p.1 == generated.head)
                .map(|p| p.2),
            head: generated.head,
            profile: generated.profile,
            figure: generated.figure,
        });
        weights = Some((args.head, packed));
    }
    output::print(&match args.output {
        Print::Json => serde_json::to_string_pretty(&lines)? + "\n",
        Print::Jsonl => {
            let all: Result<Vec<String>, _> = lines.iter().map(serde_json::to_string).collect();
            all?.join("\n") + "\n"
        }
        Print::Csv => csv(&lines)?,
        Print::Md => table(&lines, tg, pp),
    })?;
    Ok(())
}

fn table(lines: &[Line], tg: usize, pp: usize) -> String {
    let Some(base) = lines.first() else {
        return String::new();
    };
    let percent =
        |value: f64, of: f64| format!("{value:.2} ({:+.1} %)", 100.0 * (value / of - 1.0));
    let names = [
        "changed".to_owned(),
        "to".to_owned(),
        format!("tg{tg}, tok/s"),
        "of DDR peak".to_owned(),
        format!("pp{pp}, tok/s"),
        "demo PPL".to_owned(),
    ];
    let rows = lines.iter().enumerate().map(|(i, l)| {
        let rate = |value: f64, of: f64| match i {
            0 => format!("{value:.2}"),
            _ => percent(value, of),
        };
        vec![
            l.parameter.to_owned(),
            l.value.clone(),
            rate(l.tg_tokens_per_s, base.tg_tokens_per_s),
            format!("{:.1} %", 100.0 * l.tg_ddr_share_of_peak),
            rate(l.pp_tokens_per_s, base.pp_tokens_per_s),
            l.demo_ppl.map_or("-".into(), |p| format!("{p:.4}")),
        ]
    });
    markdown(names.to_vec(), rows)
}

/// Profile, head and perplexity, from what `macromac heads -o json` printed.
fn perplexities(files: &[std::path::PathBuf]) -> Result<Vec<(String, String, f64)>> {
    let mut all = Vec::new();
    for path in files {
        all.extend(read_heads(path).with_context(|| {
            format!(
                "{}: expected what `macromac heads -o json` prints",
                path.display()
            )
        })?);
    }
    Ok(all)
}

fn read_heads(path: &Path) -> Result<Vec<(String, String, f64)>> {
    let v: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let profile = v["profile"].as_str().context("no profile")?;
    let heads = v["heads"].as_array().context("no heads")?;
    heads
        .iter()
        .map(|row| {
            let head = row["head"].as_str().context("a head has no name")?;
            let ppl = row["ppl"].as_f64().context("a head has no perplexity")?;
            Ok((profile.to_owned(), head.to_owned(), ppl))
        })
        .collect()
}
