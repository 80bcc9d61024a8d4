//! Derives the table of cycles from the aarch64 assembly of this crate; `scripts/ps-table` calls it.
//!
//! usage: ps-table ASM LLVM_MCA COMPILER     prints the table as JSON

use std::io::Write;
use std::process::{Command, ExitCode, Stdio};

use macromac_ps::time::loops::{LOOPS, find};
use macromac_ps::time::table::{Row, Table};

/// Passes that the analysis runs, so that the first ones do not show.
const PASSES: usize = 1000;

fn main() -> ExitCode {
    match run() {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("ps-table: error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [asm, mca, compiler] = args.as_slice() else {
        return Err("usage: ps-table ASM LLVM_MCA COMPILER".into());
    };
    let text = std::fs::read_to_string(asm).map_err(|e| format!("{asm}: {e}"))?;
    let mut rows = Vec::new();
    for spec in LOOPS {
        let found = find(&text, spec)?;
        let on = |cpu| analyse(mca, cpu, &found.body).map_err(|e| format!("{}: {e}", spec.name));
        let cycles = on("cortex-a53")?;
        let cycles_on_a55 = on("cortex-a55")?;
        let around = |cpu, inside: f64| {
            if found.around.is_empty() {
                return Ok(0.0);
            }
            let all =
                analyse(mca, cpu, &found.around).map_err(|e| format!("{}: {e}", spec.name))?;
            Ok::<f64, String>(((all - inside).max(0.0) * 10.0).round() / 10.0)
        };
        rows.push(Row {
            name: spec.name.to_owned(),
            element: spec.element.to_owned(),
            hash: format!(
                "{:016x}",
                hash(&found.body) ^ hash(&found.around).rotate_left(1)
            ),
            instructions: found.body.len(),
            elements: found.elements,
            cycles,
            cycles_per_element: (cycles / found.elements * 1e4).round() / 1e4,
            cycles_on_a55,
            around: around("cortex-a53", cycles)?,
            around_on_a55: around("cortex-a55", cycles_on_a55)?,
        });
    }
    let table = Table {
        generated_by: "make ps-table".into(),
        compiler: compiler.clone(),
        analyser: version(mca)? + ", -mcpu=cortex-a53",
        loops: rows,
    };
    serde_json::to_string_pretty(&table).map_err(|e| e.to_string())
}

/// Cycles of a pass by llvm-mca.
fn analyse(mca: &str, cpu: &str, body: &[String]) -> Result<f64, String> {
    let mut child = Command::new(mca)
        .args(["-mtriple=aarch64-linux-gnu", &format!("-mcpu={cpu}")])
        .arg(format!("-iterations={PASSES}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{mca}: {e}"))?;
    let text = body.join("\n") + "\n";
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(text.as_bytes())
        .map_err(|e| e.to_string())?;
    drop(stdin);
    let out = child.wait_with_output().map_err(|e| e.to_string())?;
    if !out.status.success() {
        return Err(format!("{mca} refused the loop"));
    }
    let out = String::from_utf8_lossy(&out.stdout);
    let total = out
        .lines()
        .find_map(|l| l.strip_prefix("Total Cycles:"))
        .and_then(|v| v.trim().parse::<f64>().ok())
        .ok_or_else(|| format!("{mca} printed no total"))?;
    // To a tenth: the run-in of the first pass is below it.
    Ok((total / PASSES as f64 * 10.0).round() / 10.0)
}

fn version(mca: &str) -> Result<String, String> {
    let out = Command::new(mca).arg("--version").output();
    let out = out.map_err(|e| format!("{mca}: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let line = text.lines().find(|l| l.contains("LLVM version"));
    let line = line.ok_or_else(|| format!("{mca} names no version"))?;
    let number = line.split_whitespace().last().unwrap_or("?");
    Ok(format!("llvm-mca {number}"))
}

fn hash(body: &[String]) -> u64 {
    let bytes = body.iter().flat_map(|l| l.bytes().chain([b'\n']));
    bytes.fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    })
}
