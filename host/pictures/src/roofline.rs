//! What bounds a row: units, memory ports or DDR, in multiply-adds. Source of the idea: S. Williams, A. Waterman, D. Patterson,
//! "Roofline: An Insightful Visual Performance Model for Multicore Architectures", CACM 2009.

use anyhow::{Context, Result};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;

/// Products that the four units take a cycle and vector; two strips of eighteen are scales and zeros.
const LANES: f64 = 128.0 * 16.0 / 18.0;
/// Bytes that the four weight ports take a cycle.
const PORT_BYTES: f64 = 64.0;
/// Limits of the picture: multiply-adds a byte, and 10^9 multiply-adds a second.
const X: (f64, f64) = (0.5, 32.0);
const Y: (f64, f64) = (1.0, 512.0);
const SIZE: (u32, u32) = (900, 600);
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const GRID: RGBColor = RGBColor(0xd0, 0xd7, 0xde);
const KV260: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const PAPER: RGBColor = RGBColor(0xc0, 0x5c, 0x00);
const GREY: RGBColor = RGBColor(0x6e, 0x77, 0x81);

/// The paper's own figure: 5.1 tokens a second, 357.8 million multiply-adds in its accelerator (its output matrix is the PS's) and the bytes of
/// its file a token.
const PUBLISHED: (f64, f64, f64) = (5.1, 357.8e6, 465.37e6);

/// A measured row.
struct Point {
    label: String,
    /// Multiply-adds a byte.
    x: f64,
    /// 10^9 multiply-adds a second.
    y: f64,
    colour: RGBColor,
}

/// Draws rows.
pub fn draw(rows: &Value) -> Result<String> {
    let rows = rows.get("rows").unwrap_or(rows);
    let rows = rows
        .as_array()
        .context("expected an array of rows, or an object with rows")?;
    let mut points: Vec<Point> = rows.iter().map(point).collect::<Result<_>>()?;
    let (rate, macs, bytes) = PUBLISHED;
    points.push(Point {
        label: "the paper's 5.1 tok/s (published)".into(),
        x: macs / bytes,
        y: rate * macs / 1e9,
        colour: GREY,
    });
    let peak = number(&rows[0], "ddr_mts")? * 8e-3;
    let mut out = String::new();
    paint(&mut out, &points, peak).map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok(out)
}

fn number(row: &Value, key: &str) -> Result<f64> {
    row[key].as_f64().with_context(|| {
        format!("expected the number {key} in every row; write the rows with this version of macromac bench")
    })
}

fn point(row: &Value) -> Result<Point> {
    let text = |key: &str| row[key].as_str().unwrap_or_default();
    let macs = number(row, "macs_per_token")?;
    let rate = number(row, "tokens_per_s")?;
    let mut label = format!("{} {:.1} tok/s", text("test"), rate);
    let paper = text("profile") == "paper";
    if paper {
        label.insert_str(0, "paper profile: ");
    }
    let mhz = number(row, "clock_mhz")?;
    let usual = if paper { 200.0 } else { 300.0 };
    if (mhz - usual).abs() > 0.5 {
        label += &format!(", {mhz:.0} MHz");
    }
    if row["image_format"] == 2 {
        label += ", format 2";
    }
    if text("head") != "int4" {
        label += &format!(", {} head", text("head").to_uppercase());
    }
    Ok(Point {
        label,
        x: macs / number(row, "ddr_bytes_per_token")?,
        y: rate * macs / 1e9,
        colour: if paper { PAPER } else { KV260 },
    })
}

fn paint(out: &mut String, points: &[Point], peak: f64) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let font = |size: i32| {
        ("DejaVu Sans,Arial,sans-serif", size)
            .into_font()
            .color(&INK)
    };
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .caption("What bounds a token: Qwen2.5-0.5B on the KV260", font(18))
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(
            (X.0..X.1).log_scale().base(2.0),
            (Y.0..Y.1).log_scale().base(2.0),
        )?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .axis_style(INK)
        .label_style(font(12))
        .axis_desc_style(font(13))
        .x_labels(8)
        .y_labels(8)
        .x_label_formatter(&plain)
        .y_label_formatter(&plain)
        .x_desc("multiply-adds a byte of DDR traffic")
        .y_desc("10^9 multiply-adds a second")
        .draw()?;
    // A roof: what memory or ports deliver, then what the units do with it.
    let mut roof = |slope: f64, top: f64, style: ShapeStyle| {
        let corner = (top / slope).clamp(X.0, X.1);
        let left = (X.0.max(Y.0 / slope), (slope * X.0).max(Y.0));
        chart
            .draw_series(LineSeries::new([left, (corner, top), (X.1, top)], style))
            .map(drop)
    };
    let units = |mhz: f64, vectors: f64| LANES * mhz * vectors / 1e3;
    let ports = |mhz: f64| PORT_BYTES * mhz / 1e3;
    roof(
        peak.min(ports(300.0)),
        units(300.0, 8.0),
        KV260.stroke_width(2),
    )?;
    roof(
        peak.min(ports(300.0)),
        units(300.0, 1.0),
        KV260.mix(0.45).stroke_width(2),
    )?;
    roof(
        peak.min(ports(200.0)),
        units(200.0, 1.0),
        PAPER.stroke_width(2),
    )?;
    let area = chart.plotting_area();
    let at = |x: f64, y: f64| area.map_coordinate(&(x, y));
    let write = |place: (i32, i32), text: &str, colour: RGBColor, right: bool| {
        let anchor = if right { HPos::Right } else { HPos::Left };
        let style = font(12).color(&colour).pos(Pos::new(anchor, VPos::Center));
        root.draw(&Text::new(text.to_owned(), place, style))
    };
    let above = |(x, y): (i32, i32)| (x, y - 10);
    let roofs = [
        (
            units(300.0, 8.0),
            KV260,
            "units, kv260, 8 vectors a pass, 300 MHz",
        ),
        (units(300.0, 1.0), KV260, "the same, 1 vector"),
        (units(200.0, 1.0), PAPER, "units, paper, 200 MHz"),
    ];
    for (y, colour, text) in roofs {
        write(above(at(X.1 * 0.97, y)), text, colour, true)?;
    }
    write(
        at(4.3, peak * 4.9),
        &format!("DDR4 peak, {peak:.1} GB/s"),
        KV260,
        true,
    )?;
    write(
        at(0.6, ports(200.0) * 0.6 * 0.78),
        "ports at 200 MHz, 12.8 GB/s",
        PAPER,
        false,
    )?;
    // Labels stand to the right of their points, one line each, moved down where they would touch. Generated tokens lie close together:
    // theirs are a list below the lines that they lie under.
    let mut order: Vec<&Point> = points.iter().collect();
    order.sort_by(|a, b| b.y.total_cmp(&a.y));
    let (list, below) = at(3.0, units(200.0, 1.0));
    let mut free = i32::MIN;
    for p in order {
        let (x, y) = at(p.x, p.y);
        let crowded = p.x > 1.2 && p.x < 2.6;
        let line = y.max(free).max(if crowded { below + 22 } else { i32::MIN });
        free = line + 17;
        let start = if crowded { list } else { x + 14 };
        if crowded {
            let pointer = PathElement::new([(x + 6, y), (start - 5, line)], p.colour.mix(0.6));
            root.draw(&pointer)?;
        }
        root.draw(&Circle::new((x, y), 5, p.colour.filled()))?;
        root.draw(&Circle::new((x, y), 5, WHITE.stroke_width(1)))?;
        write((start, line), &p.label, p.colour, false)?;
    }
    root.present()?;
    Ok(())
}

/// A number without needless digits.
fn plain(value: &f64) -> String {
    if *value < 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_become_points_and_bad_ones_are_named() {
        let row = json!({
            "test": "tg128", "profile": "kv260", "clock_mhz": 300.0, "ddr_mts": 2133, "head": "int4", "image_format": 1,
            "tokens_per_s": 50.0, "macs_per_token": 494.0e6, "ddr_bytes_per_token": 285.0e6,
        });
        let svg = draw(&json!([row])).unwrap();
        assert!(svg.contains("tg128 50.0 tok/s") && svg.contains("DDR4 peak, 17.1 GB/s"));
        let svg = draw(&json!({ "rows": [row] })).unwrap();
        assert!(svg.starts_with("<svg"));
        let error = draw(&json!([{ "test": "tg128" }])).unwrap_err().to_string();
        assert!(error.contains("macs_per_token"), "{error}");
    }
}
