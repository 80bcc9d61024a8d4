//! `macromac score`.

use anyhow::Result;
use macromac_infer::eval::score::{RATIOS, WEIGHTS, maxima, score as equation};
use serde::Serialize;

use crate::args::Json;
use crate::output;

/// Ratios of one or more entries: the n-th of each list belongs to entry n. More is better in each, and the
/// unit does not matter, since each is divided by its maximum.
#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct ScoreArgs {
    /// Accuracy ratios
    #[arg(short, long, value_name = "A", value_delimiter = ',', required = true)]
    pub accuracy: Vec<f64>,
    /// Memory ratios (how much is saved: more is better)
    #[arg(short, long, value_name = "M", value_delimiter = ',', required = true)]
    pub memory: Vec<f64>,
    /// Prefill throughput ratios
    #[arg(short, long, value_name = "P", value_delimiter = ',', required = true)]
    pub prefill: Vec<f64>,
    /// Decode throughput ratios
    #[arg(short, long, value_name = "D", value_delimiter = ',', required = true)]
    pub decode: Vec<f64>,
    /// Names of the entries [default: 1, 2, ...]
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub names: Vec<String>,
    /// Largest accuracy ratio [default: the largest given]
    #[arg(long, value_name = "A")]
    pub max_accuracy: Option<f64>,
    /// Largest memory ratio [default: the largest given]
    #[arg(long, value_name = "M")]
    pub max_memory: Option<f64>,
    /// Largest prefill throughput ratio [default: the largest given]
    #[arg(long, value_name = "P")]
    pub max_prefill: Option<f64>,
    /// Largest decode throughput ratio [default: the largest given]
    #[arg(long, value_name = "D")]
    pub max_decode: Option<f64>,
    /// Print one JSON object instead of the table
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Json>,
}

#[derive(Serialize)]
struct Printed {
    weights: Ratios,
    maxima: Ratios,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    ratios: Ratios,
    /// What each ratio adds to the score.
    terms: Ratios,
    score: f64,
}

#[derive(Serialize)]
struct Ratios {
    accuracy: f64,
    memory: f64,
    prefill: f64,
    decode: f64,
}

impl From<[f64; 4]> for Ratios {
    fn from([accuracy, memory, prefill, decode]: [f64; 4]) -> Self {
        Ratios {
            accuracy,
            memory,
            prefill,
            decode,
        }
    }
}

/// Prints the score of each entry.
pub fn score(args: &ScoreArgs) -> Result<()> {
    let n = args.accuracy.len();
    let lists = [&args.accuracy, &args.memory, &args.prefill, &args.decode];
    for (list, name) in lists.iter().zip(RATIOS) {
        if list.len() != n {
            anyhow::bail!(
                "--{name}: expected {n} ratios, as many as of --accuracy, found {}",
                list.len()
            );
        }
    }
    if !args.names.is_empty() && args.names.len() != n {
        anyhow::bail!(
            "--names: expected {n}, as many as ratios of --accuracy, found {}",
            args.names.len()
        );
    }
    let entries: Vec<[f64; 4]> = (0..n)
        .map(|i| std::array::from_fn(|r| lists[r][i]))
        .collect();
    let given = [
        args.max_accuracy,
        args.max_memory,
        args.max_prefill,
        args.max_decode,
    ];
    let maxima = maxima(&entries, given)?;
    let scored = entries.iter().enumerate().map(|(i, ratios)| {
        let s = equation(*ratios, maxima);
        Entry {
            name: args.names.get(i).cloned().unwrap_or((i + 1).to_string()),
            ratios: (*ratios).into(),
            terms: s.terms.into(),
            score: s.score,
        }
    });
    let printed = Printed {
        weights: WEIGHTS.into(),
        maxima: maxima.into(),
        entries: scored.collect(),
    };
    if args.output.is_some() {
        return Ok(output::print(&(serde_json::to_string(&printed)? + "\n"))?);
    }
    Ok(output::print(&table(&printed))?)
}

fn table(p: &Printed) -> String {
    let names = p.entries.iter().map(|e| e.name.chars().count());
    let width = names.max().unwrap_or(0).max("maximum".len());
    let mut text = format!(
        "score = 0.4 A/max(A) + 0.2 M/max(M) + 0.2 P/max(P) + 0.2 D/max(D)\n\n\
         {:width$}  {:>10} {:>10} {:>10} {:>10}  {:>7}\n",
        "", "accuracy", "memory", "prefill", "decode", "score"
    );
    let row = |name: &str, r: &Ratios, score: &str| {
        let line = format!(
            "{name:width$}  {:>10} {:>10} {:>10} {:>10}  {score:>7}",
            short(r.accuracy),
            short(r.memory),
            short(r.prefill),
            short(r.decode)
        );
        line.trim_end().to_owned() + "\n"
    };
    for e in &p.entries {
        text += &row(&e.name, &e.ratios, &format!("{:.4}", e.score));
        text += &row("  adds", &e.terms, "");
    }
    text += &row("maximum", &p.maxima, "");
    text
}

/// At most four decimals, none that say nothing.
fn short(v: f64) -> String {
    let text = format!("{v:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
