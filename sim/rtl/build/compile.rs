//! Compiles the generated C++ and archives it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fingerprint::Fingerprint;
use crate::parallel;
use crate::table::Model;
use crate::{Context, Task};

/// Verilator's runtime, compiled once for all models.
const RUNTIME: [&str; 3] = [
    "verilated.cpp",
    "verilated_fst_c.cpp",
    "verilated_threads.cpp",
];
/// Generated C++ of up to this many bytes goes through the compiler in one piece: parsing
/// Verilator's headers costs more than the code of a small model.
const UNITY_BYTES: u64 = 400_000;

/// The C++ compiler with the flags that all objects share.
pub struct Compiler {
    include: PathBuf,
    cpp: PathBuf,
    out: PathBuf,
}

/// One object file to make.
struct Job {
    source: PathBuf,
    object: PathBuf,
    opt: u8,
    trace: bool,
    include: Option<PathBuf>,
    /// Hash of all that is included besides the source.
    headers: String,
    bytes: u64,
}

impl Compiler {
    pub fn new(include: &Path, cpp: &Path, out: &Path) -> Result<Self, String> {
        Ok(Self {
            include: include.to_owned(),
            cpp: cpp.to_owned(),
            out: out.to_owned(),
        })
    }

    fn command(&self, job: &Job) -> std::process::Command {
        let mut build = cc::Build::new();
        build.cargo_metadata(false).cargo_output(false);
        build
            .cpp(true)
            .std("c++17")
            .opt_level(u32::from(job.opt))
            .debug(false)
            .warnings(false);
        build
            .include(&self.cpp)
            .include(&self.include)
            .include(self.include.join("vltstd"));
        build.include(self.include.join("gtkwave"));
        if let Some(include) = &job.include {
            build.include(include);
        }
        for (name, value) in [
            ("VM_COVERAGE", "0"),
            ("VM_SC", "0"),
            ("VM_TRACE", if job.trace { "1" } else { "0" }),
            ("VM_TRACE_FST", if job.trace { "1" } else { "0" }),
            ("VM_TRACE_VCD", "0"),
            ("VL_PRINTF", "macromac_vl_printf"),
        ] {
            build.define(name, value);
        }
        for name in ["VL_USER_FINISH", "VL_USER_STOP_MAYBE", "VL_USER_FATAL"] {
            build.define(name, None);
        }
        // VL_PRINTF must be declared wherever Verilator's headers use it.
        build
            .flag("-include")
            .flag(self.cpp.join("printf.h").display().to_string());
        let mut command = build.get_compiler().to_command();
        command
            .arg("-c")
            .arg(&job.source)
            .arg("-o")
            .arg(&job.object);
        command
    }

    /// Compiles unless the object of the same inputs is there.
    fn make(&self, job: &Job) -> Result<(), String> {
        let mut command = self.command(job);
        let stamp = job.object.with_extension("key");
        let mut print = Fingerprint::default();
        print
            .add(command.get_program())
            .add(command.get_args().collect::<Vec<_>>());
        print.add(&job.headers).add_file(&job.source);
        let print = print.finish();
        if job.object.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == print) {
            return Ok(());
        }
        let output = command.output().map_err(|e| format!("C++ compiler: {e}"))?;
        if !output.status.success() {
            return Err(format!(
                "C++ compiler fails on {}:\n{}",
                job.source.display(),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        fs::write(&stamp, print).map_err(|e| format!("{}: {e}", stamp.display()))
    }

    /// Puts all objects into the one library that cargo links.
    pub fn archive(&self, built: &[(&Model, PathBuf)]) -> Result<(), String> {
        let mut library = cc::Build::new();
        library.cpp(true);
        let folders = built
            .iter()
            .map(|(_, dir)| dir.join("obj"))
            .chain([self.out.join("runtime")]);
        for folder in folders {
            let objects = list(&folder, ".o")?;
            library.objects(objects);
        }
        library
            .try_compile("macromac_models")
            .map_err(|e| e.to_string())?;
        println!("cargo:rustc-link-lib=z");
        Ok(())
    }
}

/// Brings the objects of these models, and the runtime, up to date.
pub fn update(context: &Context, tasks: &[Task]) -> Result<(), String> {
    let mut jobs = runtime_jobs(context)?;
    for task in tasks {
        jobs.extend(model_jobs(context, task.model, &task.dir)?);
    }
    // The longest first, so that no core waits for one big file at the end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes * u64::from(job.opt + 1)));
    parallel::for_each(&jobs, |job| context.compiler.make(job))
}

fn runtime_jobs(context: &Context) -> Result<Vec<Job>, String> {
    let folder = context.compiler.out.join("runtime");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let own = context.cpp.join("runtime.cpp");
    let sources = RUNTIME
        .iter()
        .map(|name| context.compiler.include.join(name))
        .chain([own]);
    let headers = headers(context, None)?;
    sources
        .map(|source| {
            let stem = source.file_stem().unwrap_or_default().to_owned();
            Ok(Job {
                object: folder.join(stem).with_extension("o"),
                bytes: size(&source),
                source,
                opt: 2,
                trace: true,
                include: None,
                headers: headers.clone(),
            })
        })
        .collect()
}

fn model_jobs(context: &Context, model: &Model, dir: &Path) -> Result<Vec<Job>, String> {
    let generated = dir.join("gen");
    let objects = dir.join("obj");
    let units = dir.join("unit");
    for folder in [&objects, &units] {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let headers = headers(context, Some(dir))?;
    // Slow files run once (construction, tracing), so optimizing them is time lost.
    let (slow, mut fast): (Vec<_>, Vec<_>) =
        list(&generated, ".cpp")?.into_iter().partition(|path| {
            name(path).contains("__Slow")
                || name(path).contains("__Trace")
                || name(path).ends_with("__Syms.cpp")
        });
    fast.push(dir.join("shim.cpp"));

    let mut sources: Vec<(PathBuf, u8, u64)> = Vec::new();
    for (kind, files, opt) in [("fast", fast, model.opt), ("slow", slow, 0)] {
        let bytes = files.iter().map(|path| size(path)).sum();
        if bytes <= UNITY_BYTES {
            let text: String = files
                .iter()
                .map(|path| format!("#include {:?}\n", path.display().to_string()))
                .collect();
            let unit = units.join(format!("{}-{kind}.cpp", model.name));
            crate::fingerprint::write_if_changed(&unit, &text)?;
            sources.push((unit, opt, bytes));
        } else {
            sources.extend(files.into_iter().map(|path| {
                let bytes = size(&path);
                (path, opt, bytes)
            }));
        }
    }
    let jobs: Vec<Job> = sources
        .into_iter()
        .map(|(source, opt, bytes)| {
            let stem = name(&source).trim_end_matches(".cpp").to_owned();
            let stem = if stem == "shim" {
                format!("{}-shim", model.name)
            } else {
                stem
            };
            // A unit's own text only names the files that it includes.
            let mut print = Fingerprint::default();
            print.add(&headers);
            if let Ok(text) = fs::read_to_string(&source) {
                if source.starts_with(&units) {
                    for line in text.lines() {
                        print.add_file(Path::new(
                            line.trim_start_matches("#include ").trim_matches('"'),
                        ));
                    }
                }
            }
            Job {
                object: objects.join(format!("{stem}.o")),
                source,
                opt,
                trace: model.trace,
                include: Some(generated.clone()),
                headers: print.finish(),
                bytes,
            }
        })
        .collect();
    // Objects of files that Verilator no longer writes must not be linked.
    for object in list(&objects, ".o")? {
        if !jobs.iter().any(|job| job.object == object) {
            fs::remove_file(&object).map_err(|e| format!("{}: {e}", object.display()))?;
        }
    }
    Ok(jobs)
}

/// Hash of all headers that an object may include.
fn headers(context: &Context, dir: Option<&Path>) -> Result<String, String> {
    let mut print = Fingerprint::default();
    for file in list(&context.cpp, ".hpp")?
        .iter()
        .chain(&list(&context.cpp, ".h")?)
    {
        print.add_file(file);
    }
    print.add_file(&context.compiler.include.join("verilated.h"));
    if let Some(dir) = dir {
        print.add_file(&dir.join("abi.h"));
        for file in list(&dir.join("gen"), ".h")? {
            print.add(name(&file)).add_file(&file);
        }
    }
    print.add(env::var("CXXFLAGS").ok());
    Ok(print.finish())
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

/// The files of a folder with this ending, sorted by name.
fn list(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| name(path).ends_with(ending))
        .collect();
    files.sort();
    Ok(files)
}
