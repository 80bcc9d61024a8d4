//! Finds the loops of the kernels in compiled assembly, and what they do in a pass.
//!
//! A loop is the innermost one of its function that holds most of a counted instruction; how many elements a pass
//! handles follows from how many of those it holds, so it is right however the compiler unrolled.

/// Which loop to look for.
#[derive(Debug, Clone, Copy)]
pub struct LoopSpec {
    /// Name in the table.
    pub name: &'static str,
    /// What the mangled (v0) symbol of its function contains, in this order.
    pub symbol: &'static [&'static str],
    /// The instruction that is counted, and elements that one of them stands for.
    pub counted: (&'static str, f64),
    /// What an element is, for the reader.
    pub element: &'static str,
}

const fn spec(
    name: &'static str,
    symbol: &'static [&'static str],
    counted: (&'static str, f64),
    element: &'static str,
) -> LoopSpec {
    LoopSpec {
        name,
        symbol,
        counted,
        element,
    }
}

/// Every loop of the table.
pub const LOOPS: &[LoopSpec] = &[
    spec(
        "sum_squares",
        &["4neon6vector11sum_squares"],
        ("fmla", 4.0),
        "number",
    ),
    spec(
        "scale_weighted",
        &["4neon6vector14scale_weighted"],
        ("fmul", 2.0),
        "number",
    ),
    spec("add", &["4neon6vector3add"], ("fadd", 4.0), "number"),
    spec("rotate", &["4neon6vector6rotate"], ("fmla", 4.0), "number"),
    spec(
        "silu_product",
        &["4neon6vector12silu_product"],
        ("shl", 4.0),
        "number",
    ),
    spec("peak", &["4neon6vector4peak"], ("fcmgt", 4.0), "logit"),
    spec(
        "largest",
        &["4neon9attention10largest_of", "Kj7_"],
        ("fmaxnm", 4.0),
        "score",
    ),
    spec(
        "exponentials",
        &["4neon9attention15exponentials_of", "Kj7_"],
        ("shl", 4.0),
        "score",
    ),
    spec("weigh", &["4neon9attention5weigh"], ("fmla", 4.0), "number"),
    spec(
        "narrow_f16",
        &["4neon5cache6narrow"],
        ("fcvtn", 4.0),
        "number",
    ),
    spec(
        "widen_f16",
        &["4neon5cache5widen"],
        ("fcvtl", 4.0),
        "number",
    ),
    spec(
        "quantize",
        &["ps5cache8quantize"],
        ("fcvtzs", 4.0),
        "number",
    ),
    spec(
        "every_eighth",
        &["ps5cache12every_eighth", "f16"],
        ("strh", 1.0),
        "number",
    ),
    spec(
        "scores_f32",
        &["9attention11score_tiles", "4F32s", "Kj7_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "scores_f16",
        &["9attention11score_tiles", "4F16s", "Kj7_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "scores_q8",
        &["9attention11score_tiles", "6Q8Keys", "Kj7_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_f32",
        &["9attention13value_columns", "4F32s", "Kj7_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_f16",
        &["9attention13value_columns", "4F16s", "Kj7_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_q8",
        &["9attention13value_columns", "8Q8Values", "Kj7_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "scores_f32_2",
        &["9attention11score_tiles", "4F32s", "Kj2_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "scores_f16_2",
        &["9attention11score_tiles", "4F16s", "Kj2_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "scores_q8_2",
        &["9attention11score_tiles", "6Q8Keys", "Kj2_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_f32_2",
        &["9attention13value_columns", "4F32s", "Kj2_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_f16_2",
        &["9attention13value_columns", "4F16s", "Kj2_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_q8_2",
        &["9attention13value_columns", "8Q8Values", "Kj2_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "largest_2",
        &["4neon9attention10largest_of", "Kj2_"],
        ("fmaxnm", 4.0),
        "score",
    ),
    spec(
        "exponentials_2",
        &["4neon9attention15exponentials_of", "Kj2_"],
        ("shl", 4.0),
        "score",
    ),
    spec(
        "scores_f32_4",
        &["9attention11score_tiles", "4F32s", "Kj4_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "scores_f16_4",
        &["9attention11score_tiles", "4F16s", "Kj4_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "scores_q8_4",
        &["9attention11score_tiles", "6Q8Keys", "Kj4_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_f32_4",
        &["9attention13value_columns", "4F32s", "Kj4_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_f16_4",
        &["9attention13value_columns", "4F16s", "Kj4_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "columns_q8_4",
        &["9attention13value_columns", "8Q8Values", "Kj4_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "largest_4",
        &["4neon9attention10largest_of", "Kj4_"],
        ("fmaxnm", 4.0),
        "score",
    ),
    spec(
        "exponentials_4",
        &["4neon9attention15exponentials_of", "Kj4_"],
        ("shl", 4.0),
        "score",
    ),
    spec(
        "last_columns",
        &["9attention12last_columns", "4F16s", "Kj7_"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "matrix_f32",
        &["4neon6vector12tile_product"],
        ("fmla", 4.0),
        "multiply-add",
    ),
    spec(
        "head_f16",
        &["4neon4head16f16_tile_product"],
        ("fmla", 4.0),
        "multiply-add",
    ),
];

/// A loop as found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its instructions, one a line.
    pub body: Vec<String>,
    /// Elements that a pass handles.
    pub elements: f64,
    /// The next loop around it, with one pass of it inside; empty if there is none.
    pub around: Vec<String>,
}

/// Finds a loop in the assembly of the crate.
///
/// # Errors
/// Says which function or instruction is not there.
pub fn find(asm: &str, spec: &LoopSpec) -> Result<Found, String> {
    let function = function(asm, spec.symbol).ok_or_else(|| {
        format!(
            "{}: no function whose symbol has {:?}",
            spec.name, spec.symbol
        )
    })?;
    let count = |range: (usize, usize)| {
        function[range.0..=range.1]
            .iter()
            .filter(|l| mnemonic(l) == Some(spec.counted.0))
            .filter(|l| spec.counted.1 == 1.0 || is_vector(l))
            .count()
    };
    let loops = loops(&function);
    let innermost = loops.iter().filter(|a| {
        let inside = |b: &&(usize, usize)| *b != *a && b.0 >= a.0 && b.1 <= a.1;
        !loops.iter().any(|b| inside(&b))
    });
    let best = innermost
        .copied()
        .max_by_key(|r| count(*r))
        .filter(|r| count(*r) > 0)
        .ok_or_else(|| format!("{}: no loop with {}", spec.name, spec.counted.0))?;
    let around = loops
        .iter()
        .filter(|a| **a != best && a.0 <= best.0 && a.1 >= best.1)
        .min_by_key(|a| a.1 - a.0);
    let instructions = |lines: &[&str]| -> Vec<String> {
        lines
            .iter()
            .filter(|l| mnemonic(l).is_some())
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    Ok(Found {
        body: instructions(&function[best.0..=best.1]),
        elements: count(best) as f64 * spec.counted.1,
        around: around.map_or(Vec::new(), |a| instructions(&function[a.0..=a.1])),
    })
}

/// Lines of the first function whose label contains all of `symbol` in order.
fn function<'a>(asm: &'a str, symbol: &[&str]) -> Option<Vec<&'a str>> {
    let is_it = |line: &str| {
        let Some(label) = line.strip_suffix(':') else {
            return false;
        };
        let mut rest = label;
        !label.starts_with(['.', ' ', '\t'])
            && symbol.iter().all(|part| match rest.find(part) {
                Some(at) => {
                    rest = &rest[at + part.len()..];
                    true
                }
                None => false,
            })
    };
    let mut lines = asm.lines().skip_while(|l| !is_it(l));
    lines.next()?;
    Some(lines.take_while(|l| !l.starts_with(".Lfunc_end")).collect())
}

/// Ranges of lines (both ends included) from a label to a branch back to it; of several branches the last.
fn loops(function: &[&str]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, line) in function.iter().enumerate() {
        let Some(label) = line.strip_suffix(':') else {
            continue;
        };
        let back = |l: &&str| {
            mnemonic(l)
                .is_some_and(|m| m.starts_with('b') || m.starts_with("cb") || m.starts_with("tb"))
                && l.split([' ', '\t', ',']).any(|word| word == label)
        };
        let end = (at..function.len()).rev().find(|i| back(&function[*i]));
        if let Some(end) = end {
            found.push((at, end));
        }
    }
    found
}

/// The instruction of a line; `None` for labels, directives and comments.
fn mnemonic(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next()?;
    let skip = word.starts_with('.') || word.ends_with(':') || word.starts_with("//");
    (!skip).then_some(word)
}

/// Whether the first operand is a vector register (`v`); an instruction that stands for one element need not have one.
fn is_vector(line: &str) -> bool {
    line.split_whitespace()
        .nth(1)
        .is_some_and(|o| o.starts_with('v'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASM: &str = "\
_R4neon6vector3add:
\t.cfi_startproc
.LBB0_1:
\tldr\tx9, [x0]
.LBB0_2:
\tldp\tq0, q1, [x1], #32
\tfadd\tv0.4s, v0.4s, v1.4s
\tfadd\tv2.4s, v0.4s, v1.4s
\tsubs\tx3, x3, #1
\tb.ne\t.LBB0_2
\tcbnz\tx9, .LBB0_1
.LBB0_3:
\tfadd\ts0, s0, s1
\tb.ne\t.LBB0_3
\tret
.Lfunc_end0:
";

    #[test]
    fn the_innermost_loop_with_most_counted_instructions_is_found() {
        let spec = spec("add", &["4neon6vector3add"], ("fadd", 4.0), "number");
        let found = find(ASM, &spec).unwrap();
        assert_eq!(found.elements, 8.0);
        assert_eq!(found.body.len(), 5);
        assert_eq!(found.body[4], "b.ne .LBB0_2");
        assert_eq!(found.around.len(), 7);
        assert_eq!(found.around[0], "ldr x9, [x0]");
    }

    #[test]
    fn what_is_missing_is_named() {
        let gone = spec("gone", &["nowhere"], ("fadd", 4.0), "number");
        assert!(find(ASM, &gone).unwrap_err().contains("nowhere"));
        let other = spec("other", &["3add"], ("fdiv", 4.0), "number");
        assert!(find(ASM, &other).unwrap_err().contains("no loop with fdiv"));
    }
}
