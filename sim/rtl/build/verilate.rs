//! Runs Verilator, one directory a model.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fingerprint::Fingerprint;
use crate::{Context, Task};

/// Older ones do not know the assertions and options that we use.
const MINIMUM: (u32, u32) = (5, 6);
const HINT: &str = "install it (Debian 12: apt-get install verilator, or run scripts/setup), \
                    or set VERILATOR to its path";

/// The program, its version line and where its runtime lies.
pub struct Verilator {
    program: String,
    version: String,
    /// Holds `verilated.h` and `verilated.cpp`.
    pub include: PathBuf,
}

impl Verilator {
    pub fn find() -> Result<Self, String> {
        let program = env::var("VERILATOR").unwrap_or_else(|_| "verilator".to_owned());
        let ask = |arguments: &[&str]| -> Result<String, String> {
            let output = Command::new(&program).args(arguments).output().map_err(|e| {
                format!(
                    "Verilator >= {}.{:03} is needed, but '{program}' cannot be run ({e}); {HINT}",
                    MINIMUM.0, MINIMUM.1
                )
            })?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let version = ask(&["--version"])?;
        let number = version.split_whitespace().nth(1).and_then(|number| {
            let (major, minor) = number.split_once('.')?;
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        });
        if number.is_none_or(|number| number < MINIMUM) {
            return Err(format!(
                "Verilator >= {}.{:03} is needed, found '{version}' ({program}); {HINT}",
                MINIMUM.0, MINIMUM.1
            ));
        }
        let include = PathBuf::from(ask(&["--getenv", "VERILATOR_ROOT"])?).join("include");
        if !include.join("verilated.cpp").is_file() {
            return Err(format!(
                "Verilator's runtime verilated.cpp is not in {}; {HINT}",
                include.display()
            ));
        }
        Ok(Self {
            program,
            version,
            include,
        })
    }
}

/// Verilates `model` into `dir/gen` unless nothing that it read has changed.
pub fn update(context: &Context, task: &Task) -> Result<(), String> {
    let Task {
        model, dir, rtl, ..
    } = task;
    let arguments = arguments(task);
    let stamp = dir.join("verilated");
    let mut print = Fingerprint::default();
    print.add(&context.verilator.version).add(&arguments);
    let start = print.finish();
    if let Ok(old) = fs::read_to_string(&stamp) {
        let mut lines = old.lines();
        let same_start = lines.next() == Some(&start);
        let read: Vec<&str> = lines.collect();
        // The last line is the hash of the files named above it.
        if let Some((hash, read)) = read.split_last() {
            if same_start && *hash == content_hash(rtl, read) {
                return Ok(());
            }
        }
    }

    // Into a fresh directory, so that a failed run leaves the last good one.
    let fresh = dir.join("gen.new");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).map_err(|e| format!("{}: {e}", fresh.display()))?;
    let output = Command::new(&context.verilator.program)
        .current_dir(rtl)
        .args(&arguments)
        .arg("--Mdir")
        .arg(&fresh)
        .output()
        .map_err(|e| format!("{}: {e}", context.verilator.program))?;
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!(
            "Verilator refuses model {} (in {}):\n{messages}",
            model.name,
            rtl.display()
        ));
    }
    for line in messages.lines().filter(|line| line.starts_with("%Warning")) {
        println!("cargo:warning={}: {line}", model.name);
    }

    let read = dependencies(&fresh.join(format!("V{}__ver.d", model.name)))?;
    check_listed(task, &read)?;
    let last = dir.join("gen");
    let _ = fs::remove_dir_all(&last);
    fs::rename(&fresh, &last).map_err(|e| format!("{}: {e}", last.display()))?;
    let read: Vec<&str> = read.iter().map(String::as_str).collect();
    let text = format!(
        "{start}\n{}\n{}\n",
        read.join("\n"),
        content_hash(rtl, &read)
    );
    fs::write(&stamp, text).map_err(|e| format!("{}: {e}", stamp.display()))
}

fn arguments(task: &Task) -> Vec<String> {
    let Task {
        model, rtl, files, ..
    } = task;
    let mut arguments: Vec<String> = [
        "--cc",
        "--assert",
        "--no-timing",
        "--MMD",
        "-Wall",
        "-Wno-fatal",
        "--x-assign",
        "unique",
        "--x-initial",
        "unique",
        "--timescale-override",
        "1ns/1ns",
    ]
    .map(str::to_owned)
    .to_vec();
    if model.trace {
        arguments.push("--trace-fst".to_owned());
    }
    arguments.extend(["--top-module".to_owned(), model.top.clone()]);
    arguments.extend(["--prefix".to_owned(), format!("V{}", model.name)]);
    arguments.extend(
        model
            .params
            .iter()
            .map(|(name, value)| format!("-G{name}={value}")),
    );
    arguments.extend(model.flags.iter().cloned());
    if rtl.join("lint/waivers.vlt").is_file() {
        arguments.push("lint/waivers.vlt".to_owned());
    }
    // Packages are read always, modules where they are used: so a model depends on its own sources
    // alone, and a fault in a module that it does not use cannot stop it.
    let mut folders = BTreeSet::new();
    for file in files {
        if file.ends_with("_pkg.sv") {
            arguments.push(file.clone());
        } else {
            folders.insert(
                Path::new(file)
                    .parent()
                    .unwrap_or(Path::new(""))
                    .to_path_buf(),
            );
        }
    }
    for folder in folders {
        let folder = if folder.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            folder
        };
        arguments.extend(["-y".to_owned(), folder.display().to_string()]);
    }
    if model.sources.is_empty() {
        let top = format!("{}.sv", model.top);
        let file = files
            .iter()
            .find(|file| Path::new(file).file_name() == Some(top.as_ref()));
        arguments.push(file.cloned().unwrap_or(top));
    } else {
        arguments.extend(model.sources.iter().cloned());
    }
    arguments
}

/// The RTL files that Verilator read, relative to `rtl/`, from its make rule `targets : sources`.
fn dependencies(path: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (_, sources) = text
        .split_once(" : ")
        .ok_or(format!("{}: no rule", path.display()))?;
    Ok(sources
        .split_whitespace()
        .filter(|file| *file != "\\" && !file.starts_with('/'))
        .map(str::to_owned)
        .collect())
}

/// One file list for every tool: what Verilator finds by its folder must be in the list too.
fn check_listed(task: &Task, read: &[String]) -> Result<(), String> {
    let Task { model, files, .. } = task;
    for file in read.iter().filter(|file| !file.ends_with(".vlt")) {
        if !files.contains(file) && !model.sources.contains(file) {
            return Err(format!(
                "model {} uses {file}, which rtl/filelist.f does not list",
                model.name
            ));
        }
    }
    Ok(())
}

fn content_hash(rtl: &Path, files: &[&str]) -> String {
    let mut print = Fingerprint::default();
    for file in files {
        print.add(file).add_file(&rtl.join(file));
    }
    print.finish()
}
