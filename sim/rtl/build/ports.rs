//! Parses the ports from the header that Verilator writes.

use std::fs;
use std::path::Path;

/// One port of a verilated top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub is_input: bool,
    /// C type of the value, or of an element when `words > 0`.
    pub ctype: &'static str,
    /// Number of 32-bit words of a wide port (> 64 bits), otherwise 0.
    pub words: usize,
    /// Width in bits.
    pub bits: u32,
}

/// Reads the port macros: `VL_IN8(&name,7,0);`, `VL_OUTW(&name,127,0,4);` and so on.
pub fn read(header: &Path) -> Result<Vec<Port>, String> {
    let text = fs::read_to_string(header).map_err(|e| format!("{}: {e}", header.display()))?;
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("VL_IN") || line.starts_with("VL_OUT"))
        .map(|line| {
            parse(line).ok_or_else(|| format!("cannot read port '{line}' in {}", header.display()))
        })
        .collect()
}

fn parse(line: &str) -> Option<Port> {
    let (macro_name, rest) = line.split_once('(')?;
    let arguments: Vec<&str> = rest.strip_suffix(");")?.split(',').collect();
    // An unpacked port would be written as (&name)[n]; VL_INOUT is bidirectional. Neither is ours.
    let name = arguments.first()?.strip_prefix('&')?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.contains("__") {
        return None;
    }
    let msb: u32 = arguments.get(1)?.parse().ok()?;
    let lsb: u32 = arguments.get(2)?.parse().ok()?;
    let (is_input, size) = match macro_name.strip_prefix("VL_IN") {
        Some(size) => (true, size),
        None => (false, macro_name.strip_prefix("VL_OUT")?),
    };
    let (ctype, words) = match size {
        "8" => ("uint8_t", 0),
        "16" => ("uint16_t", 0),
        "" => ("uint32_t", 0),
        "64" => ("uint64_t", 0),
        "W" => ("uint32_t", arguments.get(3)?.parse().ok()?),
        _ => return None,
    };
    Some(Port {
        name: name.to_owned(),
        is_input,
        ctype,
        words,
        bits: msb - lsb + 1,
    })
}
