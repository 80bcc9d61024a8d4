//! The PS's time of whole tokens of Qwen2.5-0.5B, and the cross-check with the paper: what `macromac-ps`'s program
//! `ps-report` prints and docs/ps.md quotes.

use std::fmt::Write;

use super::{BANDWIDTH, Charge, Coherency, Kernel, Profile, PsTime};
use crate::cache::CacheType;

/// Qwen2.5-0.5B: layers.
pub const LAYERS: usize = 24;
const HIDDEN: usize = 896;
const FFN: usize = 4864;
const HEADS: usize = 14;
const KV_HEADS: usize = 2;
const D: usize = 64;
const VOCAB: usize = 151_936;
const QKV: usize = (HEADS + 2 * KV_HEADS) * D;
/// Weights of the matrices of a layer.
pub const LAYER_WEIGHTS: usize = HIDDEN * (QKV + HIDDEN + 3 * FFN);

/// What the PS does in a layer for `queries` tokens, `positions` being in the cache with the first of them.
pub fn layer(positions: usize, queries: usize, cache: CacheType) -> Vec<Kernel> {
    vec![
        Kernel::RmsNorm { n: HIDDEN },
        Kernel::Submit { n: HIDDEN },
        Kernel::Collect { n: QKV },
        Kernel::Bias { n: QKV },
        Kernel::Rotate {
            heads: HEADS + KV_HEADS,
            d: D,
        },
        Kernel::Push {
            rows: 2 * KV_HEADS,
            d: D,
            cache,
        },
        Kernel::Attend {
            queries,
            heads: HEADS,
            kv_heads: KV_HEADS,
            d: D,
            positions,
            cache,
        },
        Kernel::Submit { n: HEADS * D },
        Kernel::Collect { n: HIDDEN },
        Kernel::Add { n: HIDDEN },
        Kernel::RmsNorm { n: HIDDEN },
        Kernel::Submit { n: HIDDEN },
        Kernel::Collect { n: 2 * FFN },
        Kernel::Silu { n: FFN },
        Kernel::Submit { n: FFN },
        Kernel::Collect { n: HIDDEN },
        Kernel::Add { n: HIDDEN },
    ]
}

/// The matrices of a layer where the PS multiplies them itself, in FP32.
pub fn layer_matrices() -> [Kernel; 4] {
    [
        (QKV, HIDDEN),
        (HIDDEN, HIDDEN),
        (2 * FFN, HIDDEN),
        (HIDDEN, FFN),
    ]
    .map(|(n, k)| Kernel::MatrixF32 { n, k })
}

/// Before the layers and after them.
fn ends() -> [Kernel; 6] {
    [
        Kernel::Embed { n: HIDDEN },
        Kernel::Angles { d: D },
        Kernel::RmsNorm { n: HIDDEN },
        Kernel::Submit { n: HIDDEN },
        Kernel::Collect { n: VOCAB },
        Kernel::Peak { n: VOCAB },
    ]
}

/// What a kernel is called in reports.
pub fn name(kernel: Kernel) -> &'static str {
    match kernel {
        Kernel::Embed { .. } => "embedding row",
        Kernel::Angles { .. } => "rotary angles",
        Kernel::RmsNorm { .. } => "RMSNorm",
        Kernel::Add { .. } => "residual",
        Kernel::Bias { .. } => "bias",
        Kernel::Rotate { .. } => "RoPE",
        Kernel::Push { .. } => "cache append",
        Kernel::Attend { .. } => "attention",
        Kernel::Silu { .. } => "SiLU x up",
        Kernel::Peak { .. } => "largest logit",
        Kernel::Submit { .. } => "activations out",
        Kernel::Collect { n: VOCAB } | Kernel::CollectPart { all: VOCAB, .. } => "logits in",
        Kernel::Collect { .. } | Kernel::CollectPart { .. } => "results in",
        Kernel::MatrixF16 { .. } | Kernel::MatrixF32 { .. } => "matrices",
    }
}

/// Time by kernel of a token after `context` others, `batch` of them at a time (prefill: no logits), for each of the batch.
pub fn token(
    ps: &PsTime,
    context: usize,
    cache: CacheType,
    batch: usize,
) -> Vec<(&'static str, Charge)> {
    let mut rows: Vec<(&'static str, Charge)> = Vec::new();
    let mut add = |kernel: Kernel, times: u32, vectors: usize| {
        let one = ps.charge(kernel, vectors);
        let charge = Charge {
            time: one.time * times / batch as u32,
            ddr_bytes: one.ddr_bytes * u64::from(times) / batch as u64,
        };
        match rows.iter_mut().find(|(n, _)| *n == name(kernel)) {
            Some((_, c)) => *c += charge,
            None => rows.push((name(kernel), charge)),
        }
    };
    for kernel in layer(context + 1, batch, cache) {
        match kernel {
            // One launch for all of them.
            Kernel::Attend { .. } => add(kernel, LAYERS as u32, 1),
            _ => add(kernel, LAYERS as u32, batch),
        }
    }
    for kernel in ends() {
        let of_logits = matches!(kernel, Kernel::Collect { .. } | Kernel::Peak { .. });
        match kernel {
            Kernel::RmsNorm { .. } | Kernel::Submit { .. } if batch > 1 => {}
            _ if of_logits && batch > 1 => {}
            Kernel::Angles { .. } => add(kernel, batch as u32, 1),
            _ => add(kernel, 1, batch),
        }
    }
    rows
}

/// Sum of a token's charges.
pub fn total(rows: &[(&'static str, Charge)]) -> Charge {
    let mut sum = Charge::default();
    rows.iter().for_each(|(_, c)| sum += *c);
    sum
}

/// Tokens a second of the PS alone, with FP32 matrices: layers, and the output matrix where `with_head`.
pub fn alone(ps: &PsTime, with_head: bool) -> f64 {
    let mut seconds = 0.0;
    let layer = layer(128, 1, CacheType::F32);
    let own = |k: &Kernel| !matches!(k, Kernel::Submit { .. } | Kernel::Collect { .. });
    for k in layer.into_iter().filter(own).chain(layer_matrices()) {
        seconds += ps.charge(k, 1).time.as_secs_f64() * LAYERS as f64;
    }
    if with_head {
        let head = Kernel::MatrixF32 {
            n: VOCAB,
            k: HIDDEN,
        };
        seconds += ps.charge(head, 1).time.as_secs_f64();
    }
    1.0 / seconds
}

/// Everything as text (Markdown).
pub fn text() -> String {
    let mut out = String::new();
    write(&mut out).expect("a string takes everything");
    out
}

fn write(out: &mut String) -> std::fmt::Result {
    let ps = PsTime::new(Profile::Derived, Coherency::Coherent);
    writeln!(
        out,
        "PS time of a decoded token of Qwen2.5-0.5B, microseconds (FP16 cache, coherent):\n"
    )?;
    tokens(out, &ps, 1)?;
    writeln!(out, "\nThe same of a prompt's token, eight at a time:\n")?;
    tokens(out, &ps, 8)?;
    writeln!(out, "\nTotals, milliseconds a decoded token:\n")?;
    writeln!(out, "| | context 0 | 512 | 2048 |\n|---|---|---|---|")?;
    let mut line = |what: &str, ps: &PsTime, cache: CacheType| {
        let at = |c| total(&token(ps, c, cache, 1)).time.as_secs_f64() * 1e3;
        writeln!(
            out,
            "| {what} | {:.2} | {:.2} | {:.2} |",
            at(0),
            at(512),
            at(2048)
        )
    };
    for cache in CacheType::ALL {
        line(&format!("cache {}", cache.name()), &ps, cache)?;
    }
    let not = PsTime::new(Profile::Derived, Coherency::NonCoherent);
    let a55 = PsTime::new(Profile::Successor, Coherency::Coherent);
    line("cache f16, loops by the A55's model", &a55, CacheType::F16)?;
    line("cache q8_0, loops by the A55's model", &a55, CacheType::Q8)?;
    line("cache f16, not coherent", &not, CacheType::F16)?;
    line(
        "cache f16, PS cost x 2",
        &ps.clone().times(2.0),
        CacheType::F16,
    )?;
    let paper = PsTime::new(Profile::Paper, Coherency::Coherent);
    line("profile paper", &paper, CacheType::F16)?;
    writeln!(
        out,
        "\nOne layer of one token on the PS alone, microseconds, beside the paper's Table I:\n"
    )?;
    table_one(out, &ps)?;
    writeln!(
        out,
        "\nPS alone, FP32 matrices: {:.2} tok/s without the output matrix, {:.2} with it; the paper: 2.6 from its Table I, 2.8 reported.",
        alone(&ps, false),
        alone(&ps, true)
    )
}

fn tokens(out: &mut String, ps: &PsTime, batch: usize) -> std::fmt::Result {
    let contexts = [0, 512, 2048];
    let columns = contexts.map(|c| token(ps, c, CacheType::F16, batch));
    let us = |c: Charge| c.time.as_secs_f64() * 1e6;
    writeln!(
        out,
        "| kernel | context 0 | 512 | 2048 | DDR bytes at 2048 |\n|---|---|---|---|---|"
    )?;
    for (i, (name, _)) in columns[0].iter().enumerate() {
        let [a, b, c] = [0, 1, 2].map(|col: usize| us(columns[col][i].1));
        writeln!(
            out,
            "| {name} | {a:.0} | {b:.0} | {c:.0} | {} |",
            columns[2][i].1.ddr_bytes
        )?;
    }
    let [a, b, c] = [0, 1, 2].map(|col: usize| us(total(&columns[col])));
    let bytes = total(&columns[2]).ddr_bytes;
    writeln!(out, "| sum | {a:.0} | {b:.0} | {c:.0} | {bytes} |")
}

fn table_one(out: &mut String, ps: &PsTime) -> std::fmt::Result {
    let us = |k: Kernel| ps.charge(k, 1).time.as_secs_f64() * 1e6;
    let [qkv, o, gate_up, down] = layer_matrices().map(us);
    let residual = us(Kernel::Add { n: HIDDEN });
    let bound = |n: usize| (4 * n) as f64 / BANDWIDTH * 1e6;
    let attend = |positions| {
        us(Kernel::Attend {
            queries: 1,
            heads: HEADS,
            kv_heads: KV_HEADS,
            d: D,
            positions,
            cache: CacheType::F32,
        })
    };
    writeln!(
        out,
        "| operation | paper | ours | of it bytes / 5.7 GB/s |\n|---|---|---|---|"
    )?;
    let mut row = |what: &str, paper: f64, ours: f64, bytes: f64| {
        writeln!(out, "| {what} | {paper:.0} | {ours:.1} | {bytes:.0} |")
    };
    row(
        "embedding copy, layer init",
        32.0,
        us(Kernel::Embed { n: HIDDEN }),
        0.0,
    )?;
    row("Q/K/V projection", 1815.0, qkv, bound(HIDDEN * QKV))?;
    row("Q/K/V bias", 35.0, us(Kernel::Bias { n: QKV }), bound(QKV))?;
    row(
        "output projection + residual",
        839.0,
        o + residual,
        bound(HIDDEN * HIDDEN),
    )?;
    row(
        "MHA (ours: 128 positions)",
        42.0,
        attend(128),
        bound(2 * KV_HEADS * 128 * D),
    )?;
    row(
        "gate + up projection",
        8148.0,
        gate_up,
        bound(2 * HIDDEN * FFN),
    )?;
    row(
        "down projection + residual",
        4651.0,
        down + residual,
        bound(HIDDEN * FFN),
    )?;
    row(
        "RoPE",
        87.0,
        us(Kernel::Rotate {
            heads: HEADS + KV_HEADS,
            d: D,
        }),
        0.0,
    )?;
    row(
        "RMSNorm (two)",
        25.0,
        2.0 * us(Kernel::RmsNorm { n: HIDDEN }),
        bound(2 * HIDDEN),
    )?;
    row("SiLU x up", 278.0, us(Kernel::Silu { n: FFN }), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ps_alone_is_as_fast_as_the_paper_found_it() {
        let ps = PsTime::new(Profile::Derived, Coherency::Coherent);
        for with_head in [false, true] {
            let rate = alone(&ps, with_head);
            assert!(
                (2.0..=4.0).contains(&rate),
                "{rate} tok/s, head {with_head}"
            );
        }
    }

    #[test]
    fn a_token_costs_more_with_context_and_less_in_a_batch() {
        let ps = PsTime::new(Profile::Derived, Coherency::Coherent);
        let sum = |context, batch| total(&token(&ps, context, CacheType::F16, batch)).time;
        assert!(sum(0, 1) < sum(512, 1) && sum(512, 1) < sum(2048, 1));
        assert!(sum(512, 8) < sum(512, 1));
    }

    #[test]
    fn the_page_quotes_what_the_program_prints() {
        let page = include_str!("../../../../docs/ps.md");
        for line in text().lines().filter(|l| l.starts_with('|')) {
            assert!(
                page.contains(line),
                "docs/ps.md lacks this line of `make ps-report`: {line}"
            );
        }
    }
}
