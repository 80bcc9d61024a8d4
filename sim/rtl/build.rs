//! Builds the verilated models of `models.toml` and their Rust bindings.
//!
//! For each model: Verilator writes C++ into its own directory under `OUT_DIR`, the port list is
//! parsed from the generated header, a C ABI (header and shim) is written from it, `cc` compiles and
//! `bindgen` binds. Every stage is skipped when a hash of what goes into it has not changed, so
//! editing one RTL file rebuilds only the models that read it, and only the C++ that differs.
//!
//! Environment:
//! - `VERILATOR`: the program; otherwise `verilator` from `PATH`.
//! - `MACROMAC_RTL_DIR`: another `rtl/` tree (the canary's mutated copy); `{model}` in it stands for the
//!   model's name. Its models are kept beside the normal ones, which therefore stay valid.
//! - `MACROMAC_RTL_MODELS`: comma-separated names. Only these are brought up to date (from
//!   `MACROMAC_RTL_DIR` if that is set); all others stay as they were last built, and are left out
//!   if they never were.

#[path = "build/compile.rs"]
mod compile;
#[path = "build/fingerprint.rs"]
mod fingerprint;
#[path = "build/parallel.rs"]
mod parallel;
#[path = "build/ports.rs"]
mod ports;
#[path = "build/shim.rs"]
mod shim;
#[path = "build/table.rs"]
mod table;
#[path = "build/verilate.rs"]
mod verilate;

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use table::Model;

/// What the whole build shares.
pub struct Context {
    /// `sim/rtl/cpp`: hand-written part of the shims.
    pub cpp: PathBuf,
    /// The program that translates.
    pub verilator: verilate::Verilator,
    /// The program that compiles what it writes.
    pub compiler: compile::Compiler,
}

/// A model to bring up to date.
pub struct Task<'a> {
    /// Its line in the table.
    pub model: &'a Model,
    /// Where all that is made for it lies.
    pub dir: PathBuf,
    /// The `rtl/` tree to build from.
    pub rtl: PathBuf,
    /// Sources in its `filelist.f`, relative to it, in order.
    pub files: Vec<String>,
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let home = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|e| e.to_string())?);
    for name in [
        "VERILATOR",
        "MACROMAC_RTL_DIR",
        "MACROMAC_RTL_MODELS",
        "CXX",
        "CXXFLAGS",
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-changed=models.toml");

    // Set but empty counts as unset.
    let foreign = env::var("MACROMAC_RTL_DIR")
        .ok()
        .filter(|dir| !dir.is_empty());
    let models = table::read(&home.join("models.toml"))?;
    let selected = selection(&models)?;
    let verilator = verilate::Verilator::find()?;
    let compiler = compile::Compiler::new(&verilator.include, &home.join("cpp"), &out)?;
    let context = Context {
        cpp: home.join("cpp"),
        verilator,
        compiler,
    };

    let normal = out.join("models");
    let foreign_home = out.join("foreign");
    let fresh_home = if foreign.is_some() {
        &foreign_home
    } else {
        &normal
    };
    // (model, its directory) of everything that ends up in the library
    let mut built: Vec<(&Model, PathBuf)> = Vec::new();
    let mut tasks: Vec<Task> = Vec::new();
    for model in &models {
        let is_selected = selected
            .as_ref()
            .is_none_or(|names| names.contains(&model.name));
        if is_selected {
            let dir = fresh_home.join(&model.name);
            let rtl = rtl_tree(&home, foreign.as_deref(), model)?;
            println!("cargo:rerun-if-changed={}", rtl.display());
            let files = table::file_list(&rtl.join("filelist.f"))?;
            tasks.push(Task {
                model,
                dir: dir.clone(),
                rtl,
                files,
            });
            built.push((model, dir));
        } else if normal.join(&model.name).join("done").exists() {
            built.push((model, normal.join(&model.name)));
        } else {
            println!(
                "cargo:warning=model {} left out: not in MACROMAC_RTL_MODELS, never built",
                model.name
            );
        }
    }

    parallel::for_each(&tasks, |task| {
        verilate::update(&context, task)?;
        shim::update(task.model, &task.dir)
    })?;
    compile::update(&context, &tasks)?;
    for task in &tasks {
        fs::write(task.dir.join("done"), "").map_err(|e| format!("{}: {e}", task.dir.display()))?;
    }
    context.compiler.archive(&built)?;
    write_modules(&built, &out.join("models.rs"))
}

/// The tree that a model is built from, as an absolute path.
fn rtl_tree(home: &Path, foreign: Option<&str>, model: &Model) -> Result<PathBuf, String> {
    let rtl = match foreign {
        Some(dir) => PathBuf::from(dir.replace("{model}", &model.name)),
        None => home.join("../../rtl"),
    };
    rtl.canonicalize().map_err(|e| {
        format!(
            "RTL tree {}: {e}; MACROMAC_RTL_DIR must name a directory with filelist.f",
            rtl.display()
        )
    })
}

/// The names in `MACROMAC_RTL_MODELS`, `None` when it is unset or empty.
fn selection(models: &[Model]) -> Result<Option<Vec<String>>, String> {
    let names = env::var("MACROMAC_RTL_MODELS").unwrap_or_default();
    if names.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = names
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    for name in &names {
        if !models.iter().any(|model| &model.name == name) {
            let known: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
            return Err(format!(
                "MACROMAC_RTL_MODELS names '{name}'; sim/rtl/models.toml has {}",
                known.join(", ")
            ));
        }
    }
    Ok(Some(names))
}

/// Writes the file that `src/lib.rs` includes: one module a model.
fn write_modules(built: &[(&Model, PathBuf)], path: &Path) -> Result<(), String> {
    let mut text = String::new();
    for (_, dir) in built {
        text += &format!("include!({:?});\n", dir.join("module.rs"));
    }
    fingerprint::write_if_changed(path, &text)
}
