//! WNLI by the recipe of EleutherAI's lm-evaluation-harness (task `wnli`, version 2.0).
//!
//! Zero-shot: does sentence 2 follow from sentence 1? The model is not asked to write; the two
//! answers ` False` and ` True` are scored as continuations of the prompt, and the more probable one
//! is its answer. No chat template, no system text, no token before the prompt.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use macromac_driver::Accelerator;
use serde::{Deserialize, Serialize};

use super::{loglik, parallel};
use crate::{InferError, Model, Session, Tokenizer};

/// The continuations, by label.
pub const CHOICES: [&str; 2] = [" False", " True"];
/// Bad rows that an error lists; more are counted.
const LISTED: usize = 20;
const COLUMNS: [&str; 4] = ["index", "sentence1", "sentence2", "label"];

/// Why a file of examples cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] InferError),
    /// Rows are not as they must be; all of them, so that the file is mended once.
    #[error("{}: {} bad row(s){}", path.display(), rows.len(), list(rows))]
    Rows {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1, and what is wrong with it.
        rows: Vec<(usize, String)>,
    },
    /// There is no example in it.
    #[error(
        "{}: expected WNLI examples, found none; give GLUE's dev.tsv (columns {}) or a .jsonl \
         with idx, sentence1, sentence2, label",
        path.display(),
        COLUMNS.join(", ")
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

fn list(rows: &[(usize, String)]) -> String {
    let shown = rows.iter().take(LISTED);
    let mut text: String = shown
        .map(|(l, why)| format!("\n  line {l}: {why}"))
        .collect();
    if rows.len() > LISTED {
        text += &format!("\n  and {} more", rows.len() - LISTED);
    }
    text
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Example {
    /// Its number in the data set.
    #[serde(alias = "index")]
    pub idx: u64,
    /// The premise.
    pub sentence1: String,
    /// What may follow from it.
    pub sentence2: String,
    /// 1 if it does, else 0; place of the right answer in [`CHOICES`].
    pub label: usize,
}

impl Example {
    /// The text that the answers continue.
    pub fn prompt(&self) -> String {
        format!(
            "{}\nQuestion: {} True or False?\nAnswer:",
            self.sentence1, self.sentence2
        )
    }
}

/// Reads examples: tab-separated with a header line, or one JSON object a line (a file whose name ends in
/// `.jsonl`, or whose first line begins with a brace).
///
/// # Errors
/// [`DataError`] names every bad row.
pub fn read_examples(path: &Path) -> Result<Vec<Example>, DataError> {
    let bytes = std::fs::read(path).map_err(InferError::io(path, "read"))?;
    // A byte-order mark, as some editors leave it, is no part of the first column's name.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let json = path.extension().is_some_and(|e| e == "jsonl") || bytes.starts_with(b"{");
    let (mut examples, mut bad, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    let mut header_read = json;
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line_number = i + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let row = match std::str::from_utf8(line) {
            Err(e) => Err(format!(
                "expected UTF-8, found byte {:#04x} at column {}",
                line[e.valid_up_to()],
                e.valid_up_to() + 1
            )),
            Ok(text) if !header_read => {
                header_read = true;
                match header(text) {
                    Ok(()) => continue,
                    Err(why) => Err(why),
                }
            }
            Ok(text) if json => serde_json::from_str::<Example>(text).map_err(|e| {
                format!(
                    "expected an object with idx, sentence1, sentence2 and label, found: {}",
                    // The parser sees one line only, and says so.
                    e.to_string().replace(" at line 1 column", " at column")
                )
            }),
            Ok(text) => tab_separated(text),
        };
        match row.and_then(|e| check(e, line_number, &mut seen)) {
            Ok(example) => examples.push(example),
            Err(why) => bad.push((line_number, why)),
        }
    }
    match (bad.is_empty(), examples.is_empty()) {
        (false, _) => Err(DataError::Rows {
            path: path.to_owned(),
            rows: bad,
        }),
        (true, true) => Err(DataError::Empty {
            path: path.to_owned(),
        }),
        (true, false) => Ok(examples),
    }
}

fn header(line: &str) -> Result<(), String> {
    match line.split('\t').eq(COLUMNS) {
        true => Ok(()),
        false => Err(format!(
            "expected a header of the tab-separated columns {}, found \"{line}\"",
            COLUMNS.join(", ")
        )),
    }
}

fn tab_separated(line: &str) -> Result<Example, String> {
    // GLUE's files have no quoting: a quotation mark is part of the sentence.
    let fields: Vec<&str> = line.split('\t').collect();
    let [idx, sentence1, sentence2, label] = fields[..] else {
        return Err(format!(
            "expected {} tab-separated fields, found {}",
            COLUMNS.len(),
            fields.len()
        ));
    };
    let number = |name: &str, text: &str| {
        let parsed = text.trim().parse::<u64>();
        parsed.map_err(|_| format!("{name}: expected a whole number, found \"{text}\""))
    };
    Ok(Example {
        idx: number("index", idx)?,
        sentence1: sentence1.into(),
        sentence2: sentence2.into(),
        label: number("label", label).and_then(|l| {
            usize::try_from(l).map_err(|_| format!("label: expected 0 or 1, found {l}"))
        })?,
    })
}

fn check(example: Example, line: usize, seen: &mut HashMap<u64, usize>) -> Result<Example, String> {
    if example.label >= CHOICES.len() {
        return Err(format!(
            "label: expected 0 or 1, found {}; give a set with answers (dev, not test)",
            example.label
        ));
    }
    for (name, text) in [
        ("sentence1", &example.sentence1),
        ("sentence2", &example.sentence2),
    ] {
        if text.trim().is_empty() {
            return Err(format!("{name}: expected a sentence, found nothing"));
        }
    }
    match seen.insert(example.idx, line) {
        None => Ok(example),
        Some(first) => Err(format!(
            "index {}: expected once, found in line {first} too",
            example.idx
        )),
    }
}

/// What the model said to an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The example's number.
    pub idx: u64,
    /// Log-probability of ` False`.
    pub ll_false: f64,
    /// Log-probability of ` True`.
    pub ll_true: f64,
    /// The right answer.
    pub label: usize,
    /// The model's: the more probable one, 0 if both are equally probable.
    pub prediction: usize,
}

/// The task's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Share of right answers.
    pub acc: f64,
    /// Right answers.
    pub correct: usize,
    /// Standard error of `acc`: sqrt(acc (1 - acc) / (n - 1)); null for a single example.
    pub stderr: f64,
    /// One a question, in the order of the file.
    pub examples: Vec<Answer>,
}

impl Outcome {
    /// Sums up answers.
    pub fn of(examples: Vec<Answer>) -> Self {
        let correct = examples.iter().filter(|a| a.prediction == a.label).count();
        let n = examples.len() as f64;
        let acc = correct as f64 / n;
        Outcome {
            acc,
            correct,
            stderr: (acc * (1.0 - acc) / (n - 1.0)).sqrt(),
            examples,
        }
    }

    /// Numbers of the examples that `other`, the same questions to another model, answers otherwise.
    pub fn flipped(&self, other: &Outcome) -> Vec<u64> {
        let pairs = self.examples.iter().zip(&other.examples);
        pairs
            .filter(|(a, b)| a.prediction != b.prediction)
            .map(|(a, _)| a.idx)
            .collect()
    }
}

/// Prompt and continuations of an example in tokens: a continuation is what encoding it together with
/// the prompt adds to the prompt's tokens.
///
/// # Errors
/// [`InferError::Input`] names the example if it does not fit the model.
pub fn encode(
    model: &Model,
    tokenizer: &Tokenizer,
    example: &Example,
) -> Result<(Vec<u32>, Vec<Vec<u32>>), InferError> {
    let text = example.prompt();
    let prompt = tokenizer.encode(&text)?;
    let mut continuations = Vec::new();
    for choice in CHOICES {
        let whole = tokenizer.encode(&format!("{text}{choice}"))?;
        model
            .check_tokens(&whole)
            .map_err(|e| InferError::Input(format!("example {}: {e}", example.idx)))?;
        match whole.get(prompt.len()..) {
            Some(added) if !added.is_empty() => continuations.push(added.to_vec()),
            _ => {
                return Err(InferError::Input(format!(
                    "example {}: expected \"{choice}\" to add tokens to the {} of the prompt, found \
                     {} in all; this tokenizer joins them, so the recipe cannot be followed",
                    example.idx,
                    prompt.len(),
                    whole.len()
                )));
            }
        }
    }
    Ok((prompt, continuations))
}

/// Asks a model all questions, at most `workers` at a time, each on a device of its own; `progress` is
/// told how many are answered.
///
/// # Errors
/// What `device` or a session fails with, or an example that does not fit the model.
pub fn evaluate<E: From<InferError> + Send>(
    model: &Model,
    tokenizer: &Tokenizer,
    examples: &[Example],
    workers: usize,
    device: impl Fn() -> Result<Box<dyn Accelerator>, E> + Sync,
    mut progress: impl FnMut(usize),
) -> Result<Outcome, E> {
    // Before the first device is built, which may take long.
    let encoded = examples
        .iter()
        .map(|e| encode(model, tokenizer, e))
        .collect::<Result<Vec<_>, _>>()?;
    let mut done = 0;
    let scores = parallel::each(
        examples.len(),
        workers,
        device,
        |i, device| {
            let (prompt, continuations) = &encoded[i];
            let mut session = Session::new(model, device);
            Ok(loglik::continuations(&mut session, prompt, continuations)?)
        },
        |_: &Vec<f64>| {
            done += 1;
            progress(done);
        },
    )?;
    let answers = examples.iter().zip(scores).map(|(e, ll)| Answer {
        idx: e.idx,
        ll_false: ll[0],
        ll_true: ll[1],
        label: e.label,
        prediction: usize::from(ll[1] > ll[0]),
    });
    Ok(Outcome::of(answers.collect()))
}
