//! The chat template that a command uses.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use macromac_infer::ChatTemplate;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Named {
    /// <|im_start|>ROLE, the message, <|im_end|>
    Chatml,
}

/// How messages become a prompt.
#[derive(Clone, clap::Args)]
pub struct TemplateArgs {
    /// Chat template to use instead of the model's
    #[arg(
        long,
        value_enum,
        value_name = "NAME",
        conflicts_with = "chat_template_file"
    )]
    chat_template: Option<Named>,
    /// File with a chat template (Jinja) to use instead of the model's
    #[arg(long, value_name = "FILE")]
    chat_template_file: Option<PathBuf>,
}

/// The template that was asked for, or the model's; `None` if it has none, as the built-in model.
pub fn template(args: &TemplateArgs, model: Option<&Path>) -> Result<Option<ChatTemplate>> {
    if let Some(file) = &args.chat_template_file {
        return Ok(Some(ChatTemplate::open_file(file)?));
    }
    if let Some(Named::Chatml) = args.chat_template {
        return Ok(Some(ChatTemplate::chatml()));
    }
    match model {
        Some(dir) => Ok(ChatTemplate::open(dir)?),
        None => Ok(None),
    }
}
