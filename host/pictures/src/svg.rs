//! A few shapes of SVG.

use std::fmt::Write;

/// Dark grey of text and axes.
pub const INK: &str = "#24292f";
/// Light lines.
pub const GRID: &str = "#d0d7de";

/// A picture that grows.
pub struct Svg {
    body: String,
}

impl Svg {
    /// An empty picture with a light ground; `label` says what it shows to who cannot see it.
    pub fn new(width: u32, height: u32, label: &str) -> Self {
        let mut body = String::new();
        writeln!(
            body,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\" \
             font-family=\"DejaVu Sans,Arial,sans-serif\">\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>"
        )
        .expect("a string takes everything");
        Svg { body }
    }

    /// A filled rectangle with a hint that is shown when pointed at.
    pub fn rect(&mut self, at: (f64, f64), size: (f64, f64), fill: &str, hint: &str) {
        let ((x, y), (w, h)) = (at, size);
        let title = match hint {
            "" => String::new(),
            hint => format!("<title>{hint}</title>"),
        };
        self.raw(&format!(
            "<rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{w:.2}\" height=\"{h:.1}\" fill=\"{fill}\">{title}</rect>"
        ));
    }

    /// Text that begins, is centred or ends at a point (`start`, `middle`, `end`).
    pub fn text(&mut self, at: (f64, f64), size: f64, anchor: &str, text: &str) {
        let (x, y) = at;
        self.raw(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{INK}\">{text}</text>"
        ));
    }

    /// A thin line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        self.raw(&format!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A line of SVG.
    pub fn raw(&mut self, line: &str) {
        self.body += line;
        self.body.push('\n');
    }

    /// The picture.
    pub fn done(mut self) -> String {
        self.body += "</svg>\n";
        self.body
    }
}
