//! `macromac`: the command line. It parses arguments, shows progress and prints results; all
//! arithmetic is in `macromac-infer`.
//!
//! Standard output carries the result and nothing else; everything else goes to standard error.
#![warn(missing_docs)]

mod args;
mod demo;
mod device;
mod figures;
mod load;
mod logits;
mod output;
mod pack;
mod run;
mod synth;
mod tokenize;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Pack(a) => pack::pack(&a),
        Command::Run(a) => run::run(&a),
        Command::Logits(a) => logits::logits(&a),
        Command::SynthCheckpoint(a) => synth::synth(&a),
        Command::Tokenize(a) => tokenize::tokenize(&a),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough; the code is the shell's for that signal.
        Err(e) if output::is_broken_pipe(&e) => ExitCode::from(141),
        Err(e) => {
            output::note(&format!("error: {e:#}"));
            ExitCode::FAILURE
        }
    }
}
