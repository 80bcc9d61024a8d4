//! `macromac eval`.

use std::path::PathBuf;

use anyhow::Result;
use macromac_infer::eval::wnli::{self as task, Example, Outcome};
use serde::Serialize;

use crate::args::{Json, ModelArgs};
use crate::progress::Progress;
use crate::{device, load, output};

/// The tasks.
#[derive(clap::Subcommand)]
pub enum Task {
    /// Winograd sentences: does the second follow from the first? (recipe of lm-evaluation-harness)
    Wnli(WnliArgs),
}

#[derive(clap::Args)]
pub struct WnliArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Examples with answers: GLUE's dev.tsv, or .jsonl with idx, sentence1, sentence2, label
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Second model, checkpoint or image; which examples does it answer otherwise?
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,
    /// Print one JSON object instead of the lines
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Json>,
}

#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    backend: String,
    /// Null where products are plain FP32.
    profile: Option<&'static str>,
    /// Null without a second model.
    against: Option<Against<'a>>,
}

#[derive(Serialize)]
struct Against<'a> {
    model: String,
    #[serde(flatten)]
    outcome: &'a Outcome,
    /// Numbers of the examples that the two models answer differently.
    flipped: Vec<u64>,
}

/// Asks a model the questions of WNLI.
pub fn wnli(args: &WnliArgs) -> Result<()> {
    let examples = task::read_examples(&args.data)?;
    let outcome = ask(&args.model, &examples)?;
    let against = match &args.against {
        None => None,
        Some(dir) => {
            let model = ModelArgs {
                model: Some(dir.clone()),
                // The threads are there already.
                threads: None,
                ..args.model.clone()
            };
            Some((dir, ask(&model, &examples)?))
        }
    };
    if args.output.is_some() {
        let printed = Printed {
            outcome: &outcome,
            backend: device::name(args.model.backend),
            profile: device::profile(&args.model),
            against: against.as_ref().map(|(dir, other)| Against {
                model: dir.display().to_string(),
                outcome: other,
                flipped: outcome.flipped(other),
            }),
        };
        return Ok(output::print(&(serde_json::to_string(&printed)? + "\n"))?);
    }
    let mut text = line("wnli", &outcome);
    if let Some((dir, other)) = &against {
        let flipped = outcome.flipped(other);
        let right = |o: &Outcome, idx: u64| {
            let mut all = o.examples.iter();
            all.any(|a| a.idx == idx && a.prediction == a.label)
        };
        let lost = flipped.iter().filter(|i| right(&outcome, **i)).count();
        text += &line(&format!("against {}", dir.display()), other);
        text += &format!(
            "flipped: {} of {}: {lost} right only here, {} right only there; examples {flipped:?}\n",
            flipped.len(),
            examples.len(),
            flipped.len() - lost
        );
    }
    Ok(output::print(&text)?)
}

fn line(name: &str, o: &Outcome) -> String {
    format!(
        "{name}: acc = {:.4} +/- {:.4} ({} of {} right)\n",
        o.acc,
        o.stderr,
        o.correct,
        o.examples.len()
    )
}

fn ask(args: &ModelArgs, examples: &[Example]) -> Result<Outcome> {
    let loaded = load::load(args)?;
    let progress = Progress::new("examples", examples.len());
    let outcome = task::evaluate(
        &loaded.model,
        loaded.tokenizer()?,
        examples,
        device::side_by_side(args),
        || device::device(args, &loaded),
        |done| progress.at(done, ""),
    );
    progress.finish();
    outcome
}
