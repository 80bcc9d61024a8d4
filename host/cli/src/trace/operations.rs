//! A token by operation: what the units, the PS and memory do for each, beside the paper's Table I.

use std::fmt::Write;

use macromac_infer::fused::PassKind;
use serde::Serialize;

use super::timeline::{Stalls, Timeline};

/// What an operation costs; microseconds, of a layer (of a token where it is not in the layers).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Operation {
    /// As the paper's Table I names it.
    pub operation: &'static str,
    /// Table I: on the PS alone; null where it has no such row.
    pub paper_us: Option<f64>,
    /// First to last strip on the units.
    pub pl_us: f64,
    /// Kernels of the PS, copies to and from the accelerator among them.
    pub ps_us: f64,
    /// Of `ps_us`: while units computed.
    pub ps_while_units_us: f64,
    /// Of `ps_us`: while weights came from memory.
    pub ps_while_streaming_us: f64,
    /// Units stood still, a mean of the ports, since the pass before: weights were not there.
    pub no_data_us: f64,
    /// The PS had not released the step.
    pub no_activations_us: f64,
    /// Results were not rid of.
    pub no_room_us: f64,
    /// The units' own pattern, or another port's weights.
    pub lock_step_us: f64,
}

/// Rows of the table: name, Table I, and whether it is in the layers.
const ROWS: [(&str, Option<f64>, bool); 12] = [
    ("token embedding copy + layer init", Some(32.0), true),
    ("Q/K/V projection", Some(1815.0), true),
    ("Q/K/V bias", Some(35.0), true),
    ("output projection + residual", Some(839.0), true),
    ("MHA computation", Some(42.0), true),
    ("FFN gate + up projection", Some(8148.0), true),
    ("FFN down projection + residual", Some(4651.0), true),
    ("RoPE for Q/K", Some(87.0), true),
    ("RMSNorm", Some(25.0), true),
    ("SiLU + element-wise product", Some(278.0), true),
    ("output matrix", None, false),
    ("largest logit", None, false),
];

/// Row of a matrix.
fn of_pass(kind: PassKind) -> usize {
    match kind {
        PassKind::Qkv => 1,
        PassKind::O => 3,
        PassKind::GateUp => 5,
        PassKind::Down => 6,
        PassKind::LmHead => 10,
    }
}

/// Row of a kernel.
fn of_kernel(name: &str, kind: Option<PassKind>) -> usize {
    match (name, kind) {
        ("embedding row" | "rotary angles", _) => 0,
        ("bias", _) => 2,
        ("RoPE", _) => 7,
        ("RMSNorm", _) => 8,
        ("SiLU x up", _) => 9,
        ("largest logit", _) => 11,
        ("matrices", _) => 10,
        ("attention" | "cache append", _) => 4,
        (_, Some(kind)) => of_pass(kind),
        // Whatever else the PS does belongs to the token.
        _ => 0,
    }
}

/// Sums up a timeline of `tokens` tokens of a model with `layers` layers.
pub fn operations(t: &Timeline, layers: usize, tokens: usize) -> Vec<Operation> {
    let mut rows: Vec<Operation> = ROWS
        .iter()
        .map(|(operation, paper_us, _)| Operation {
            operation,
            paper_us: *paper_us,
            ..Operation::default()
        })
        .collect();
    let us = 1e6 / t.clock_hz as f64;
    let units: Vec<(f64, f64)> = t
        .passes
        .iter()
        .map(|p| (p.begin as f64 * us, p.end as f64 * us))
        .collect();
    for pass in &t.passes {
        let row = &mut rows[of_pass(pass.kind)];
        row.pl_us += (pass.end - pass.begin) as f64 * us;
        let s = pass.stalls.unwrap_or(Stalls::default());
        row.no_data_us += s.no_data * us;
        row.no_activations_us += s.no_activations * us;
        row.no_room_us += s.no_room * us;
        row.lock_step_us += s.lock_step * us;
    }
    for k in &t.ps {
        let row = &mut rows[of_kernel(k.name, k.kind)];
        let span = (k.begin, k.begin + k.time);
        row.ps_us += k.time;
        row.ps_while_units_us += common(span, &units);
        row.ps_while_streaming_us += common(span, &t.streaming);
    }
    for (row, (.., in_layers)) in rows.iter_mut().zip(ROWS) {
        let times = (tokens * if in_layers { layers } else { 1 }) as f64;
        for value in [
            &mut row.pl_us,
            &mut row.ps_us,
            &mut row.ps_while_units_us,
            &mut row.ps_while_streaming_us,
            &mut row.no_data_us,
            &mut row.no_activations_us,
            &mut row.no_room_us,
            &mut row.lock_step_us,
        ] {
            *value /= times;
        }
    }
    rows
}

/// How much of `span` lies in `others`, which are in order and do not overlap.
fn common(span: (f64, f64), others: &[(f64, f64)]) -> f64 {
    let from = others.partition_point(|(_, end)| *end <= span.0);
    others[from..]
        .iter()
        .take_while(|(begin, _)| *begin < span.1)
        .map(|(begin, end)| end.min(span.1) - begin.max(span.0))
        .sum()
}

/// The rows as a Markdown table, with the sum of a layer.
pub fn table(rows: &[Operation]) -> String {
    let mut out = String::from(
        "| operation, one layer, us | paper, PS alone | ours, PL | ours, PS | PS while units compute | PS while weights stream \
         | no data | no activations | no room | lock step |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut sum = Operation {
        operation: "sum of a layer",
        paper_us: Some(0.0),
        ..Operation::default()
    };
    let mut line = |r: &Operation| {
        let paper = r.paper_us.map_or("-".into(), |us| format!("{us:.0}"));
        writeln!(
            out,
            "| {} | {paper} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
            r.operation,
            r.pl_us,
            r.ps_us,
            r.ps_while_units_us,
            r.ps_while_streaming_us,
            r.no_data_us,
            r.no_activations_us,
            r.no_room_us,
            r.lock_step_us
        )
        .expect("writing to a string does not fail");
    };
    let in_layers = rows
        .iter()
        .zip(ROWS)
        .partition::<Vec<_>, _>(|(_, row)| row.2);
    for (row, _) in &in_layers.0 {
        line(row);
        sum.paper_us = sum.paper_us.zip(row.paper_us).map(|(a, b)| a + b);
        sum.pl_us += row.pl_us;
        sum.ps_us += row.ps_us;
        sum.ps_while_units_us += row.ps_while_units_us;
        sum.ps_while_streaming_us += row.ps_while_streaming_us;
        sum.no_data_us += row.no_data_us;
        sum.no_activations_us += row.no_activations_us;
        sum.no_room_us += row.no_room_us;
        sum.lock_step_us += row.lock_step_us;
    }
    line(&sum);
    for (row, _) in &in_layers.1 {
        let of_token = Operation {
            operation: match row.operation {
                "output matrix" => "output matrix (a token)",
                _ => "largest logit (a token)",
            },
            ..(*row).clone()
        };
        line(&of_token);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_both_is_common() {
        let others = [(0.0, 2.0), (3.0, 4.0), (6.0, 9.0)];
        assert_eq!(common((1.0, 7.0), &others), 1.0 + 1.0 + 1.0);
        assert_eq!(common((4.0, 6.0), &others), 0.0);
        assert_eq!(common((20.0, 21.0), &others), 0.0);
    }
}
