//! `macromac pack`.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use macromac_format::Head;
use macromac_infer::{Checkpoint, PackOptions, Source, pack_with};

use crate::args::PackArgs;
use crate::output;

/// Packs a checkpoint into an image.
pub fn pack(args: &PackArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        macromac_infer::set_threads(threads.into())?;
    }
    let checkpoint = open(args)?;
    let options = PackOptions {
        head: args.head.map(Head::from),
    };
    output::print(&format!("method: {}\n", options.describe(&checkpoint)))?;
    // Draws on standard error, and only if that is a terminal.
    let bar = ProgressBar::new(0);
    let style = "{bar:40} {pos}/{len} {msg} {elapsed}";
    bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
    let result = pack_with(&checkpoint, &args.output, &options, |p| {
        bar.set_length(p.total as u64);
        bar.set_position(p.done as u64);
        bar.set_message(p.next.to_owned());
    });
    bar.finish_and_clear();
    let bytes = result?;
    output::print(&format!(
        "wrote {}: model.bin {bytes} bytes\n",
        args.output.display()
    ))?;
    Ok(())
}

fn open(args: &PackArgs) -> Result<Checkpoint> {
    match Source::open(&args.checkpoint)? {
        Source::Checkpoint(c) => Ok(c),
        Source::Image(_) => anyhow::bail!(
            "{}: expected a checkpoint, found an image, which is packed already",
            args.checkpoint.display()
        ),
    }
}
