//! `macromac tokenize`.

use anyhow::Result;

use crate::args::TokenizeArgs;
use crate::{load, output};

/// Prints the ids of a text on one line, separated by commas, as `logits --tokens` takes them.
pub fn tokenize(args: &TokenizeArgs) -> Result<()> {
    let ids = load::tokenizer(args.model.as_deref())?.encode(&args.prompt)?;
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    output::print(&(ids.join(",") + "\n"))?;
    Ok(())
}
