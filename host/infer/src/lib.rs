//! Qwen2 inference for MacroMac: checkpoint import, quantization, the forward pass over any
//! [`macromac_driver::Accelerator`], sampling and text.
//!
//! * a checkpoint: [`config`], [`store`], [`autoawq`], [`checkpoint`], [`fused`] (which matrices make up a pass);
//! * into an image: [`scan`] and [`room`] (what is better found before the work), [`quant`] (rounding to nearest), [`awq`] (by
//!   activations), [`mod@pack`]; or into an AutoAWQ checkpoint: [`export`];
//! * a checkpoint with random weights: [`synth`];
//! * weights from either: [`source`];
//! * devices without hardware: [`host_device`], [`cpu`], [`golden`];
//! * a token through the model: [`kernels`] (what the PS computes), [`model`], [`session`], [`clock`] (what that costs);
//! * from logits to text: [`sampler`], [`tokenizer`], [`mod@generate`];
//! * text after text: [`chat`] (messages into a prompt), [`conversation`] (what the cache holds is not fed again), [`stops`];
//! * what a model is worth: [`eval`].
#![warn(missing_docs)]

pub mod autoawq;
pub mod awq;
pub mod chat;
pub mod checkpoint;
pub mod clock;
pub mod config;
pub mod conversation;
pub mod cpu;
pub mod error;
pub mod eval;
pub mod export;
pub mod fused;
pub mod generate;
pub mod golden;
pub mod host_device;
pub mod lookup;
pub mod model;
pub mod pack;
pub mod quant;
pub mod room;
pub mod sampler;
pub mod scan;
pub mod session;
pub mod source;
pub mod stops;
pub mod store;
pub mod synth;
pub mod tokenizer;

/// What the PS computes.
pub use macromac_ps as kernels;

pub use chat::{ChatTemplate, Message};
pub use checkpoint::Checkpoint;
pub use conversation::{Conversation, Event};
pub use cpu::cpu_device;
pub use error::InferError;
pub use export::Format;
pub use generate::{
    Chosen, Generated, Go, Measured, Options, Stop, check_options, generate, generate_each,
};
pub use golden::golden_device;
pub use lookup::Lookup;
pub use model::{Model, Settings};
pub use pack::{Calibration, PackOptions, pack, pack_head, pack_with};
pub use sampler::{Sampler, Sampling};
pub use session::Session;
pub use source::Source;
pub use stops::Stops;
pub use tokenizer::Tokenizer;

/// Sets the number of threads for all parallel work; results do not depend on it.
///
/// # Errors
/// [`InferError::Input`] if threads are already running or cannot be started.
pub fn set_threads(threads: usize) -> Result<(), InferError> {
    if !kernels::team::set_threads(threads) {
        return Err(InferError::Input(format!(
            "cannot use {threads} threads: {} are running already",
            kernels::team::threads()
        )));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| InferError::Input(format!("cannot use {threads} threads: {e}")))
}
