//! `macromac logits`.

use anyhow::Result;
use macromac_infer::Session;
use serde::Serialize;

use crate::args::{Json, LogitsArgs};
use crate::{device, load, output};

/// What is printed. Nothing in it depends on the backend but the numbers.
#[derive(Serialize)]
struct Printed<'a> {
    tokens: &'a [u32],
    positions: Vec<usize>,
    logits: Vec<Vec<f32>>,
}

/// Prints logits as JSON; FP32 as the shortest decimals that read back as the same number.
pub fn logits(args: &LogitsArgs) -> Result<()> {
    let Json::Json = args.output;
    let loaded = load::load(&args.model)?;
    // Before the device is built, which may take long.
    loaded.model.check_tokens(&args.tokens)?;
    let mut device = device::device(&args.model, &loaded)?;
    let mut session = Session::new(&loaded.model, device.as_mut());
    let last = args.tokens.len() - 1;
    let mut printed = Printed {
        tokens: &args.tokens,
        positions: Vec::new(),
        logits: Vec::new(),
    };
    // Without --all the tokens before the last need no logits.
    let silent = if args.all { 0 } else { last };
    session.feed_batch(&args.tokens[..silent])?;
    session.logits_each(&args.tokens[silent..], |i, logits| {
        printed.positions.push(silent + i);
        printed.logits.push(logits.to_vec());
        Ok(())
    })?;
    output::print(&(serde_json::to_string(&printed)? + "\n"))?;
    Ok(())
}
