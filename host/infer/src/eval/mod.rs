//! What a model is worth: how well it predicts text, how it answers, how large it is.
//!
//! * [`loglik`]: log-probabilities from logits;
//! * [`parallel`]: independent sequences, each on a device of its own;
//! * [`perplexity`]: windows of a text, scored as llama-perplexity's users expect;
//! * [`wnli`]: the WNLI task by the recipe of lm-evaluation-harness;
//! * [`size`], [`layouts`]: bytes by part, of what is there and of what could be; [`traffic`]: bytes that a token moves;
//! * [`score`]: Equation 1 of the paper.
//!
//! Figures are computed in FP64 over FP32 logits, in the order of the text, whatever the number of
//! threads.

pub mod layouts;
pub mod loglik;
pub mod parallel;
pub mod perplexity;
pub mod score;
pub mod size;
pub mod traffic;
pub mod wnli;
