//! `macromac`: the command line. It parses arguments, shows progress and prints results; all
//! arithmetic is in `macromac-infer`.
//!
//! Standard output carries the result and nothing else; everything else goes to standard error.
#![warn(missing_docs)]

mod args;
mod bench;
mod chat;
mod demo;
mod device;
mod doctor;
mod eval;
mod figures;
mod heads;
mod load;
mod logits;
mod output;
mod pack;
mod packing;
mod perplexity;
mod progress;
mod run;
mod score;
mod serve;
mod size;
mod synth;
mod template;
mod text;
mod tokenize;
mod trace;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Pack(a) => pack::pack(&a),
        Command::Run(a) => run::run(&a),
        Command::Chat(a) => chat::chat(&a),
        Command::Serve(a) => serve::serve(a),
        Command::Logits(a) => logits::logits(&a),
        Command::SynthCheckpoint(a) => synth::synth(&a),
        Command::Tokenize(a) => tokenize::tokenize(&a),
        Command::Perplexity(a) => perplexity::perplexity(&a),
        Command::Eval(eval::Task::Wnli(a)) => eval::wnli(&a),
        Command::Size(a) => size::size(&a),
        Command::Heads(a) => heads::heads(&a),
        Command::Doctor(a) => doctor::doctor(&a),
        Command::Bench(a) => bench::bench(&a),
        Command::Score(a) => score::score(&a),
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
