//! `macromac size`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use macromac_infer::eval::layouts::{Impossible, layouts};
use macromac_infer::eval::size::{Contents, MB, MIB, Parts, Sizes, Subject};
use serde::Serialize;

use crate::args::Json;
use crate::{demo, output};

#[derive(clap::Args)]
pub struct SizeArgs {
    /// Checkpoint folder (AutoAWQ's too) or image folder [default: the built-in demonstration model]
    #[arg(short, long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// A checkpoint's config.json alone: what the model would take
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub config: Option<PathBuf>,
    /// Print one JSON object instead of the tables
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Json>,
}

#[derive(Serialize)]
struct Printed<'a> {
    layouts: Vec<Layout<'a>>,
    /// Layouts that the model's shape does not allow.
    impossible: Vec<(&'a str, &'a str)>,
    units: Option<Units>,
}

#[derive(Serialize)]
struct Layout<'a> {
    name: &'a str,
    what: &'a str,
    bytes: u64,
    mb: f64,
    mib: f64,
    /// Times smaller than BF16.
    compression: f64,
    /// Percent less than BF16, both in the same unit.
    reduction_percent: f64,
    parts: &'a Parts,
    contents: &'a Contents,
}

/// What becomes of a reduction if decimal and binary megabytes are mixed.
#[derive(Serialize)]
struct Units {
    bf16_bytes: u64,
    autoawq_g64_bytes: u64,
    /// Both in MB, or both in MiB.
    reduction_percent: f64,
    /// BF16 in MB, AutoAWQ in MiB: no reduction at all, but it has been printed.
    mixed_percent: f64,
}

/// Prints the bytes of a model.
pub fn size(args: &SizeArgs) -> Result<()> {
    let subject = match (&args.config, &args.model) {
        (Some(path), _) => Subject::of_config(path)?,
        (None, Some(dir)) => Subject::of_dir(dir)?,
        (None, None) => Subject::of_dir(demo::extract()?.path())?,
    };
    let (computed, impossible) = layouts(&subject);
    let all: Vec<&Sizes> = subject.file.iter().chain(&computed).collect();
    let bf16 = bytes_of(&computed, "bf16").expect("BF16 holds every shape");
    let units = bytes_of(&computed, "autoawq-g64").map(|awq| Units {
        bf16_bytes: bf16,
        autoawq_g64_bytes: awq,
        reduction_percent: reduction(awq as f64, bf16 as f64),
        mixed_percent: reduction(awq as f64 / MIB, bf16 as f64 / MB),
    });
    if args.output.is_none() {
        let mut text = tables(&all, bf16, &impossible);
        if let Some(units) = &units {
            text += &derivation(units);
        }
        return Ok(output::print(&text)?);
    }
    let layouts = all.iter().map(|s| Layout {
        name: &s.name,
        what: &s.what,
        bytes: s.bytes(),
        mb: s.bytes() as f64 / MB,
        mib: s.bytes() as f64 / MIB,
        compression: bf16 as f64 / s.bytes() as f64,
        reduction_percent: reduction(s.bytes() as f64, bf16 as f64),
        parts: &s.parts,
        contents: &s.contents,
    });
    let printed = Printed {
        layouts: layouts.collect(),
        impossible: impossible.iter().map(|i| (&*i.name, &*i.reason)).collect(),
        units,
    };
    Ok(output::print(&(serde_json::to_string(&printed)? + "\n"))?)
}

fn bytes_of(list: &[Sizes], name: &str) -> Option<u64> {
    list.iter().find(|s| s.name == name).map(Sizes::bytes)
}

/// Percent by which `now` is less than `before`.
fn reduction(now: f64, before: f64) -> f64 {
    100.0 * (1.0 - now / before)
}

/// Digits in threes.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(d);
    }
    out
}

fn tables(all: &[&Sizes], bf16: u64, impossible: &[Impossible]) -> String {
    let mut text = String::new();
    let mut row = |name: &str, cell: &dyn Fn(&Sizes) -> String| {
        write!(text, "{name:20}").expect("writing to a string does not fail");
        for s in all {
            write!(text, " {:>13}", cell(s)).expect("writing to a string does not fail");
        }
        text.push('\n');
    };
    row("bytes", &|s| s.name.clone());
    for (i, (part, _)) in Parts::default().list().iter().enumerate() {
        row(part, &|s| grouped(s.parts.list()[i].1));
    }
    row("total", &|s| grouped(s.bytes()));
    row("  MB (10^6)", &|s| format!("{:.2}", s.bytes() as f64 / MB));
    row("  MiB (2^20)", &|s| {
        format!("{:.2}", s.bytes() as f64 / MIB)
    });
    row("  less than bf16", &|s| {
        format!("{:.2} %", reduction(s.bytes() as f64, bf16 as f64))
    });
    row("  times smaller", &|s| {
        format!("{:.3}", bf16 as f64 / s.bytes() as f64)
    });
    row("of it", &|_| String::new());
    type Of = fn(&Contents) -> u64;
    let contents: [(&str, Of); 5] = [
        ("  quantized", |c| c.quantized),
        ("  scales", |c| c.scales),
        ("  zeros", |c| c.zeros),
        ("  not quantized", |c| c.full_precision),
        ("  headers, padding", |c| c.overhead),
    ];
    for (name, of) in contents {
        row(name, &|s| grouped(of(&s.contents)));
    }
    let mut lines: Vec<String> = text.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.push(String::new());
    lines.extend(all.iter().map(|s| format!("{}: {}", s.name, s.what)));
    lines.extend(
        impossible
            .iter()
            .map(|i| format!("{}: not possible: {}", i.name, i.reason)),
    );
    lines.join("\n") + "\n"
}

/// BF16 file of Qwen2.5-0.5B, whose figures the paper prints.
const PAPERS_MODEL: u64 = 988_097_824;

fn derivation(u: &Units) -> String {
    let (bf16, awq) = (u.bf16_bytes as f64, u.autoawq_g64_bytes as f64);
    let mut text = format!(
        "\nunits: MB = 1,000,000 bytes, MiB = 1,048,576 bytes\n\
         bf16        {:>13} bytes = {:.2} MB = {:.2} MiB\n\
         autoawq-g64 {:>13} bytes = {:.2} MB = {:.2} MiB\n\
         reduction, one unit:    1 - {:.2} MB / {:.2} MB = 1 - {:.2} MiB / {:.2} MiB = {:.1} %\n\
         reduction, units mixed: 1 - {:.2} MiB / {:.2} MB = {:.2} %, which is wrong\n",
        grouped(u.bf16_bytes),
        bf16 / MB,
        bf16 / MIB,
        grouped(u.autoawq_g64_bytes),
        awq / MB,
        awq / MIB,
        awq / MB,
        bf16 / MB,
        awq / MIB,
        bf16 / MIB,
        u.reduction_percent,
        awq / MIB,
        bf16 / MB,
        u.mixed_percent,
    );
    if u.bf16_bytes == PAPERS_MODEL {
        writeln!(
            text,
            "The paper's \"988 MB to 443.81 MB, 55.08 %\" is the mixed one: 443.81 is in MiB ({:.2} MB), \
             so the file is {:.1} % smaller.",
            awq / MB,
            u.reduction_percent
        )
        .expect("writing to a string does not fail");
    }
    text
}
