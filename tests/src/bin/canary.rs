//! `make canary`: flips one bit in each block of the RTL in turn; its testbench must report rtl != golden.
//!
//! Every mutation gets its own copy of `rtl/` under `target/canary/<model>/rtl`, in which one expression is
//! changed, and the block's testbench is run on it. A copy that does not build proves nothing, so all
//! copies are built first, in one go: the build script takes each block's model from its own copy
//! (`MACROMAC_RTL_DIR` with `{model}`) and keeps the normal models. The same testbenches must pass on the
//! RTL as it is. The result is `target/canary.json`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use serde_json::{Value, json};

/// One flipped bit and the test that must notice it.
struct Mutation {
    /// Block of the accelerator.
    block: &'static str,
    /// Verilated model in which it is tested (`sim/rtl/models.toml`); one mutation a model.
    model: &'static str,
    /// Source, relative to `rtl/`.
    file: &'static str,
    /// Text that occurs exactly once in the file.
    find: &'static str,
    /// What stands there instead.
    replace: &'static str,
    /// Test file in `tests/tests/`, and the test.
    test: (&'static str, &'static str),
}

const MUTATIONS: [Mutation; 15] = [
    Mutation {
        block: "unpacker",
        model: "mm_unpacker",
        file: "mac/mm_unpacker.sv",
        find: "weights_q      <= strip_data_i;",
        replace: "weights_q      <= strip_data_i ^ 128'd1;",
        test: ("unit_mac_blocks", "unpacker_equals_golden"),
    },
    Mutation {
        block: "PE",
        model: "mm_pe",
        file: "mac/mm_pe.sv",
        find: ".a_i       (scaled),",
        replace: ".a_i       (scaled ^ 32'd1),",
        test: ("unit_mac_blocks", "pe_equals_golden"),
    },
    Mutation {
        block: "adder tree",
        model: "mm_adder_tree",
        file: "mac/mm_adder_tree.sv",
        find: ".b_i   (high),",
        replace: ".b_i   (high ^ 32'd1),",
        test: ("unit_mac_blocks", "adder_tree_equals_golden"),
    },
    Mutation {
        block: "accumulator",
        model: "mm_window_acc",
        file: "mac/mm_window_lane.sv",
        find: "back_q <= out_o;",
        replace: "back_q <= out_o ^ 32'd1;",
        test: ("unit_mac_blocks", "window_equals_golden_back_to_back"),
    },
    Mutation {
        block: "kv260 unpacker",
        model: "mm_group_unpacker",
        file: "mac/mm_group_unpacker.sv",
        find: "weights_q       <= strip_data_i;",
        replace: "weights_q       <= strip_data_i ^ 128'd1;",
        test: ("unit_group_blocks", "unpacker_takes_both_formats_apart"),
    },
    Mutation {
        block: "two products in a DSP",
        model: "mm_tb_mac2",
        file: "mac/mm_dsp_mac2.sv",
        find: "b_q2 <= b_q;",
        replace: "b_q2 <= b_q ^ 18'd1;",
        test: ("unit_group_blocks", "mac2_equals_integers"),
    },
    Mutation {
        block: "slice, split",
        model: "mm_tb_slice",
        file: "mac/mm_group_slice.sv",
        find: "high = {{4{pair[j][43]}}, pair[j][43:22]};",
        replace: "high = {{4{pair[j][43]}}, pair[j][43:22]} ^ 26'd1;",
        test: ("unit_group_blocks", "slice_equals_its_twin_and_integers"),
    },
    Mutation {
        block: "term",
        model: "mm_group_term",
        file: "mac/mm_group_term.sv",
        find: "product_q6 <= product_q5;",
        replace: "product_q6 <= product_q5 ^ 36'h1000;",
        test: ("unit_group_blocks", "term_equals_golden"),
    },
    Mutation {
        block: "kv260 accumulator",
        model: "mm_group_lane",
        file: "mac/mm_group_lane.sv",
        find: "if (en_i && wr_en_i) acc_mem[wr_slot_i] <= total;",
        replace: "if (en_i && wr_en_i) acc_mem[wr_slot_i] <= total ^ 32'd1;",
        test: ("unit_group_blocks", "lane_equals_golden"),
    },
    Mutation {
        block: "kv260 result buffer",
        model: "mm_group_mac_1",
        file: "mac/mm_group_results.sv",
        find: "if (marked_q) word = 32'h7fc0_0000;",
        replace: "if (marked_q) word = 32'h7fc0_0001;",
        test: ("unit_group_mac", "batch_1_equals_golden"),
    },
    Mutation {
        block: "reader",
        model: "mm_tb_reader",
        file: "axi/mm_axi_reader.sv",
        find: "assign out_data_o   = m_axi_rdata;",
        replace: "assign out_data_o   = m_axi_rdata ^ 128'd1;",
        test: ("unit_sys_reader", "order_and_legality_under_random_stalls"),
    },
    Mutation {
        block: "lead limiter",
        model: "mm_tb_lead",
        file: "axi/mm_lead_limiter.sv",
        find: "assign go_o[p] = ~lead_q[p][MaxLead-1];",
        replace: "assign go_o[p] = 1'b1;",
        test: (
            "unit_sys_lead",
            "a_port_that_stands_still_holds_the_others_and_no_longer",
        ),
    },
    Mutation {
        block: "lead after a drain",
        model: "mm_tb_lead_staged",
        file: "axi/mm_lead_limiter.sv",
        find: "if (!rst_ni || clear_i) begin",
        replace: "if (!rst_ni) begin",
        test: (
            "unit_sys_lead",
            "a_staged_port_that_stands_still_holds_the_others_and_no_longer",
        ),
    },
    Mutation {
        block: "result collector",
        model: "mm_results",
        file: "stream/mm_result_collector.sv",
        find: "assign out_data_o = half_q ? out_word[255:128] : out_word[127:0];",
        replace: "assign out_data_o = (half_q ? out_word[255:128] : out_word[127:0]) ^ 128'd1;",
        test: ("unit_sys_results", "bytes_and_reports_under_random_stalls"),
    },
    Mutation {
        block: "BFP converter",
        model: "mm_bfp_convert",
        file: "stream/mm_bfp_lane.sv",
        find: "kept3_q <= sticky_shift(kept2_q, {2'd0, distance2_q});",
        replace: "kept3_q <= sticky_shift(kept2_q, {2'd0, distance2_q}) ^ KeptBits'(4);",
        test: ("unit_sys_bfp", "converter_equals_golden"),
    },
];

/// What a testbench prints, by the harness's checks, when the RTL does something else than the reference.
const NOTICED: &str = "rtl != golden";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("canary: error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, String> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("no workspace")?;
    let nest = home.join("target/canary");

    println!("canary: control run, RTL as it is");
    for mutation in &MUTATIONS {
        let output = test(home, mutation, None)?;
        if !output.status.success() {
            return Err(format!(
                "{} {} fails without any mutation:\n{}",
                mutation.test.0,
                mutation.test.1,
                tail(&text(&output))
            ));
        }
    }

    println!("canary: building {} mutants", MUTATIONS.len());
    for mutation in &MUTATIONS {
        mutate(
            &home.join("rtl"),
            &nest.join(mutation.model).join("rtl"),
            mutation,
        )?;
    }
    let tree = nest.join("{model}/rtl");
    let mut build = cargo(home, Some(&tree));
    build.arg("--no-run");
    for file in MUTATIONS.iter().map(|mutation| mutation.test.0) {
        build.args(["--test", file]);
    }
    let output = build.output().map_err(|e| format!("cargo: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "the mutants do not build:\n{}",
            tail(&text(&output))
        ));
    }

    let mut results: Vec<Value> = Vec::new();
    for mutation in &MUTATIONS {
        let output = test(home, mutation, Some(&tree))?;
        let text = text(&output);
        let line = text
            .lines()
            .find(|line| line.contains(NOTICED))
            .map(str::trim);
        let caught = !output.status.success() && line.is_some();
        println!(
            "canary: {:<21} {}",
            mutation.block,
            if caught { "caught" } else { "NOT CAUGHT" }
        );
        match line {
            Some(line) => println!("        {line}"),
            None => println!("{}", tail(&text)),
        }
        results.push(json!({
            "block": mutation.block,
            "mutation": format!("{}: {} -> {}", mutation.file, mutation.find, mutation.replace),
            "test": format!("{}: {}", mutation.test.0, mutation.test.1),
            "caught": caught,
            "report": line,
        }));
    }
    let caught = results
        .iter()
        .filter(|result| result["caught"] == true)
        .count();
    let path = home.join("target/canary.json");
    let text = serde_json::to_string_pretty(&results).map_err(|e| e.to_string())?;
    fs::write(&path, text + "\n").map_err(|e| format!("{}: {e}", path.display()))?;
    println!(
        "canary: {caught} of {} flipped bits noticed; {}",
        results.len(),
        path.display()
    );
    Ok(caught == results.len())
}

/// `cargo test` in the profile and with the package selection of `make test`: another selection would unite the features of
/// dependencies in another way and build them again.
fn cargo(home: &Path, tree: Option<&Path>) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(home)
        .args(["test", "--release", "--workspace"]);
    // The harness would write waveforms of failures that are wanted here, and a seed would replay another run.
    command
        .env("MACROMAC_WAVES", "0")
        .env_remove("MACROMAC_SEED")
        .env("RUST_BACKTRACE", "0");
    match tree {
        Some(tree) => {
            let models: Vec<_> = MUTATIONS.iter().map(|mutation| mutation.model).collect();
            command
                .env("MACROMAC_RTL_DIR", tree)
                .env("MACROMAC_RTL_MODELS", models.join(","));
        }
        None => {
            command
                .env_remove("MACROMAC_RTL_DIR")
                .env_remove("MACROMAC_RTL_MODELS");
        }
    }
    command
}

fn test(home: &Path, mutation: &Mutation, tree: Option<&Path>) -> Result<Output, String> {
    let (file, test) = mutation.test;
    let mut command = cargo(home, tree);
    command.args(["--test", file, "--", "--exact", test]);
    let output = command.output().map_err(|e| format!("cargo: {e}"))?;
    if text(&output).contains("running 0 tests") {
        return Err(format!(
            "there is no test '{test}' in tests/tests/{file}.rs"
        ));
    }
    Ok(output)
}

/// Writes a copy of the RTL with the mutation applied.
fn mutate(rtl: &Path, copy: &Path, mutation: &Mutation) -> Result<(), String> {
    if copy.exists() {
        fs::remove_dir_all(copy).map_err(|e| format!("{}: {e}", copy.display()))?;
    }
    copy_dir(rtl, copy)?;
    let path = copy.join(mutation.file);
    let source = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let count = source.matches(mutation.find).count();
    if count != 1 {
        return Err(format!(
            "rtl/{}: expected '{}' once, found it {count} times; adapt MUTATIONS in tests/src/bin/canary.rs",
            mutation.file, mutation.find
        ));
    }
    fs::write(&path, source.replace(mutation.find, mutation.replace))
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), String> {
    let fail = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    fs::create_dir_all(to).map_err(|e| fail(to, e))?;
    for entry in fs::read_dir(from).map_err(|e| fail(from, e))? {
        let path: PathBuf = entry.map_err(|e| fail(from, e))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(|e| fail(&path, e))?;
        }
    }
    Ok(())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
