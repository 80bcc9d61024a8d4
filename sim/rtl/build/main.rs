//! Builds the verilated models of `models.toml` and their Rust bindings.
//!
//! For each model: Verilator writes C++ into its own directory under `OUT_DIR`, the port list is
//! parsed from the generated header, a C ABI (header and shim) is written from it, `cc` compiles and
//! `bindgen` binds. Every stage is skipped when a hash of what goes into it has not changed, so
//! editing one RTL file rebuilds only the models that read it, and only the C++ that differs.
//!
//! Environment:
//! - `VERILATOR`: the program; otherwise `verilator` from `PATH`.
//! - `MACROMAC_RTL_DIR`: another `rtl/` tree (the canary's mutated copy). Its models are kept beside
//!   the normal ones, which therefore stay valid.
//! - `MACROMAC_RTL_MODELS`: comma-separated names. Only these are brought up to date (from
//!   `MACROMAC_RTL_DIR` if that is set); all others stay as they were last built, and are left out
//!   if they never were.

mod compile;
mod fingerprint;
mod parallel;
mod ports;
mod shim;
mod table;
mod verilate;

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use table::Model;

/// What the whole build shares.
pub struct Context {
    /// The `rtl/` tree to build from.
    pub rtl: PathBuf,
    /// `sim/rtl/cpp`: hand-written part of the shims.
    pub cpp: PathBuf,
    /// Sources in `rtl/filelist.f`, relative to `rtl/`, in order.
    pub files: Vec<String>,
    /// The program that translates.
    pub verilator: verilate::Verilator,
    /// The program that compiles what it writes.
    pub compiler: compile::Compiler,
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
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-changed=models.toml");

    let foreign = env::var_os("MACROMAC_RTL_DIR").map(PathBuf::from);
    let rtl = foreign.clone().unwrap_or_else(|| home.join("../../rtl"));
    let rtl = rtl.canonicalize().map_err(|e| {
        format!(
            "RTL tree {}: {e}; set MACROMAC_RTL_DIR to a directory with filelist.f",
            rtl.display()
        )
    })?;
    println!("cargo:rerun-if-changed={}", rtl.display());

    let models = table::read(&home.join("models.toml"))?;
    let selected = selection(&models)?;
    let verilator = verilate::Verilator::find()?;
    let compiler = compile::Compiler::new(&verilator.include, &home.join("cpp"), &out)?;
    let files = table::file_list(&rtl.join("filelist.f"))?;
    let context = Context {
        rtl,
        cpp: home.join("cpp"),
        files,
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
    let mut stale: Vec<(&Model, PathBuf)> = Vec::new();
    for model in &models {
        let is_selected = selected
            .as_ref()
            .is_none_or(|names| names.contains(&model.name));
        if is_selected {
            let dir = fresh_home.join(&model.name);
            stale.push((model, dir.clone()));
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

    parallel::for_each(&stale, |(model, dir)| {
        verilate::update(&context, model, dir)?;
        shim::update(model, dir)
    })?;
    compile::update(&context, &stale)?;
    for (_, dir) in &stale {
        fs::write(dir.join("done"), "").map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    context.compiler.archive(&built)?;
    write_modules(&built, &out.join("models.rs"))
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
