//! A generated token: the whole of it, and one layer large.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::svg::{GRID, INK, Svg};

/// Left edge, width and height of a row of spans.
const LEFT: f64 = 130.0;
const WIDTH: f64 = 950.0;
const ROW: f64 = 20.0;
/// Between two rows.
const STEP: f64 = 26.0;
/// Spans of the whole token that are narrower share a pixel and are left to their neighbours.
const NARROW: f64 = 0.08;

/// A span, microseconds.
struct Span {
    row: usize,
    name: String,
    begin: f64,
    end: f64,
}

/// Rows from top to bottom: process, thread, title.
const ROWS: [(u64, u64, &str); 9] = [
    (1, 1, "PS, core 0"),
    (1, 2, "PS, cores 1 to 3"),
    (2, 1, "MACRO_MAC units"),
    (3, 1, "weights, port 0"),
    (3, 2, "weights, port 1"),
    (3, 3, "weights, port 2"),
    (3, 4, "weights, port 3"),
    (3, 5, "activations in"),
    (3, 6, "results out"),
];

/// Colours with a name in the key: what begins so is painted so. They differ in lightness, too.
const COLOURS: [(&str, &str, &str); 12] = [
    ("qkv", "#1f77b4", "Q, K, V"),
    ("gate_up", "#2a9d5c", "gate + up"),
    ("down", "#8c6bb1", "down"),
    ("lm_head", "#c44e52", "output matrix"),
    ("o", "#7fb8e6", "output projection"),
    ("attention", "#e07b00", "attention"),
    ("SiLU x up", "#f2c14e", "SiLU x up"),
    ("RMSNorm", "#5b5b5b", "RMSNorm"),
    ("activations out", "#b08968", "to the PL"),
    ("results in", "#d8b9a0", "from the PL"),
    ("logits in", "#d8b9a0", ""),
    ("", "#9aa0a6", "other kernels"),
];

/// Draws the last token of a trace.
pub fn draw(trace: &Value) -> Result<String> {
    let about = &trace["otherData"];
    let spans = spans(trace)?;
    let units = ROWS
        .iter()
        .position(|r| (r.0, r.1) == (2, 1))
        .expect("a row");
    let heads: Vec<&Span> = of(&spans, units, "lm_head");
    anyhow::ensure!(
        heads.len() >= 2,
        "expected at least two tokens (lm_head twice), found {}; trace with -p 0 -n 2",
        heads.len()
    );
    // A token begins with the PS's first kernel for it.
    let last = heads.len() - 1;
    let first_kernel = spans
        .iter()
        .find(|s| s.row == 0 && s.name == "rotary angles" && s.begin >= heads[last - 1].end);
    let begin = first_kernel
        .context("expected kernels of the PS, found none; trace with a charged PS")?
        .begin;
    let end = spans
        .iter()
        .filter(|s| s.row == 0)
        .fold(heads[last].end, |t, s| t.max(s.end));
    // One layer in the middle, from its first kernel to the next layer's.
    let qkv: Vec<&Span> = spans
        .iter()
        .filter(|s| s.row == units && s.begin >= begin && s.name.ends_with(" qkv"))
        .collect();
    anyhow::ensure!(
        qkv.len() >= 3,
        "expected at least three layers, found {}",
        qkv.len()
    );
    let middle = qkv.len() / 2;
    let down_before = |layer: usize| {
        let name = format!("{} down", layer - 1);
        of(&spans, units, &name).last().map(|s| s.end)
    };
    let zoom = (
        down_before(middle).context("a layer has no down")?,
        down_before(middle + 1).context("a layer has no down")?,
    );

    let mut svg = Svg::new(
        1110,
        740,
        "When the PS, the units and the memory ports work during one generated token",
    );
    let number = |key: &str| about[key].as_f64().unwrap_or_default();
    let what = about["figure"].as_str().unwrap_or("?");
    svg.text(
        (20.0, 28.0),
        16.0,
        "start",
        &format!(
            "One generated token, {}: {:.2} ms",
            match about["model"].as_str().unwrap_or("?") {
                "qwen2.5-0.5b" => "Qwen2.5-0.5B's shape",
                other => other,
            },
            (end - begin) / 1e3
        ),
    );
    svg.text(
        (20.0, 48.0),
        12.0,
        "start",
        &format!(
            "profile {}, {:.0} MHz, DDR4-{:.0}, {what}, units and ports by the RTL, PS by its cost model",
            about["profile"].as_str().unwrap_or("?"),
            number("clock_mhz"),
            number("ddr_mts")
        ),
    );
    key(&mut svg, 62.0);
    panel(
        &mut svg,
        &spans,
        (begin, end),
        116.0,
        "the whole token, ms",
        1e3,
    );
    let layer = format!(
        "layer {middle} of it, enlarged, microseconds; the ports run ahead, as far as the prefetch lets them"
    );
    panel(&mut svg, &spans, zoom, 414.0, &layer, 1.0);
    Ok(svg.done())
}

fn of<'s>(spans: &'s [Span], row: usize, name: &str) -> Vec<&'s Span> {
    let same = |s: &&Span| s.row == row && s.name == name;
    spans.iter().filter(same).collect()
}

fn spans(trace: &Value) -> Result<Vec<Span>> {
    let events = trace["traceEvents"]
        .as_array()
        .context("expected traceEvents, found none; is this a trace?")?;
    let mut spans = Vec::new();
    for e in events.iter().filter(|e| e["ph"] == "X") {
        let ids = (e["pid"].as_u64(), e["tid"].as_u64());
        let row = ROWS.iter().position(|r| ids == (Some(r.0), Some(r.1)));
        let (Some(row), Some(begin), Some(dur)) = (row, e["ts"].as_f64(), e["dur"].as_f64()) else {
            continue;
        };
        spans.push(Span {
            row,
            name: e["name"].as_str().unwrap_or_default().to_owned(),
            begin,
            end: begin + dur,
        });
    }
    Ok(spans)
}

/// Colour of a span; a pass is called "12 gate_up".
fn colour(name: &str) -> &'static str {
    let matrix = name.split_once(' ').map_or(name, |(layer, matrix)| {
        if layer.parse::<usize>().is_ok() {
            matrix
        } else {
            name
        }
    });
    let found = COLOURS.iter().find(|c| c.0 == matrix);
    found.unwrap_or(&COLOURS[COLOURS.len() - 1]).1
}

fn key(svg: &mut Svg, y: f64) {
    let mut x = 20.0;
    for (_, colour, title) in COLOURS.iter().filter(|c| !c.2.is_empty()) {
        svg.rect((x, y), (12.0, 12.0), colour, "");
        svg.text((x + 16.0, y + 10.5), 11.0, "start", title);
        x += 32.0 + 6.4 * title.len() as f64;
    }
}

/// Rows between two times, with an axis in units of `unit` microseconds.
fn panel(svg: &mut Svg, spans: &[Span], (from, to): (f64, f64), top: f64, title: &str, unit: f64) {
    svg.text((LEFT, top - 8.0), 12.0, "start", title);
    let x = |t: f64| LEFT + WIDTH * (t - from) / (to - from);
    let bottom = top + STEP * ROWS.len() as f64;
    let step = nice((to - from) / unit / 10.0);
    let mut tick = 0.0;
    while tick * unit <= to - from {
        let at = x(from + tick * unit);
        svg.line((at, top), (at, bottom), GRID);
        let digits = (-step.log10().floor()).max(0.0) as usize;
        svg.text(
            (at, bottom + 14.0),
            11.0,
            "middle",
            &format!("{tick:.digits$}"),
        );
        tick += step;
    }
    for (row, (.., title)) in ROWS.iter().enumerate() {
        let y = top + STEP * row as f64 + 3.0;
        svg.text((LEFT - 8.0, y + 14.0), 11.0, "end", title);
        svg.rect((LEFT, y), (WIDTH, ROW), "#f3f4f6", "");
        for s in spans
            .iter()
            .filter(|s| s.row == row && s.end > from && s.begin < to)
        {
            let (a, b) = (x(s.begin.max(from)), x(s.end.min(to)));
            if b - a < NARROW {
                continue;
            }
            let hint = format!("{}: {:.2} us", s.name, s.end - s.begin);
            // A light seam between neighbours of one colour.
            let seam = if b - a > 3.0 { 0.6 } else { 0.0 };
            svg.rect((a, y), (b - a - seam, ROW), colour(&s.name), &hint);
            let room = (b - a) / 6.6;
            if (s.name.len() as f64) < room {
                label(svg, ((a + b) / 2.0, y + 14.0), &s.name);
            }
        }
    }
    svg.line((LEFT, bottom), (LEFT + WIDTH, bottom), INK);
}

/// A name on its span: white on dark colours, dark on light ones.
fn label(svg: &mut Svg, (x, y): (f64, f64), name: &str) {
    let ink = if is_light(colour(name)) {
        INK
    } else {
        "#ffffff"
    };
    svg.raw(&format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"10.5\" text-anchor=\"middle\" fill=\"{ink}\">{name}</text>"
    ));
}

/// Whether dark text is read better than white on a colour `#rrggbb`: by its luma.
fn is_light(colour: &str) -> bool {
    let part = |at: usize| u32::from_str_radix(&colour[at..at + 2], 16).unwrap_or(0);
    299 * part(1) + 587 * part(3) + 114 * part(5) > 150_000
}

/// The next of 1, 2, 5, 10, ... from `value` on.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = steps.iter().find(|s| *s * power >= value);
    step.unwrap_or(&10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_are_round() {
        assert_eq!([0.7, 1.0, 1.2, 30.0].map(nice), [1.0, 1.0, 2.0, 50.0]);
    }

    #[test]
    fn text_is_dark_on_light_colours_only() {
        assert!(is_light("#f2c14e") && is_light("#7fb8e6"));
        assert!(!is_light("#1f77b4") && !is_light("#5b5b5b"));
    }

    #[test]
    fn a_pass_has_the_colour_of_its_matrix() {
        assert_eq!(colour("12 gate_up"), colour("0 gate_up"));
        assert_ne!(colour("12 o"), colour("12 qkv"));
        assert_eq!(colour("attention"), "#e07b00");
        assert_eq!(colour("something new"), "#9aa0a6");
    }

    #[test]
    fn a_trace_without_tokens_is_refused() {
        let none = draw(&json!({})).unwrap_err().to_string();
        assert!(none.contains("traceEvents"), "{none}");
        let one = draw(&json!({ "traceEvents": [
            { "ph": "X", "pid": 2, "tid": 1, "name": "lm_head", "ts": 0, "dur": 1 },
        ] }));
        let one = one.unwrap_err().to_string();
        assert!(one.contains("found 1"), "{one}");
    }
}
