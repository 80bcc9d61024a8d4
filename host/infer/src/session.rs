//! One sequence through the model: tokens in, logits out.
//!
//! For each token the device runs the passes of the program in order and the PS computes what
//! lies between them. Positions whose logits nobody needs run a program without `lm_head`, and so
//! does a model whose head the PS computes.
//!
//! Tokens that are known beforehand go in batches: up to [`Accelerator::batch`] positions share each pass, and two
//! batches A and B take turns (A0 B0 A1 B1 ...), so that the PS works on one while the weights stream for the other. The
//! bits are those of the tokens one by one.

mod cache;
mod lane;

use macromac_driver::Accelerator;
use macromac_format::Head;
use macromac_format::model::PASSES_PER_LAYER;

use crate::InferError;
use crate::clock::{Clock, Spent};
use crate::kernels::time::Charge;
use crate::kernels::vector::Peak;
use crate::model::Model;
use cache::Cache;
use lane::{Lane, Ps};

/// Batches that take turns: as many as a device has steps in flight.
const LANES: usize = 2;

/// A sequence in progress: its key-value cache and the buffers of its batches.
pub struct Session<'a> {
    model: &'a Model,
    device: &'a mut dyn Accelerator,
    cache: Cache,
    clock: Clock<'a>,
    position: usize,
    /// The ring on the device; `None` before the first token and after an error.
    ring: Option<Ring>,
    /// Vectors of the program that makes logits of a single batch.
    decode_vectors: usize,
    lanes: [Lane; LANES],
}

/// What is done with the index of a token, its logits, and where they are largest.
type EachLogits<'f> = dyn FnMut(usize, &[f32], Peak) -> Result<(), InferError> + 'f;

/// The program of a round: every pass once for each batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ring {
    batches: usize,
    vectors: usize,
    head: bool,
}

impl<'a> Session<'a> {
    /// Begins a sequence on a device that holds the model's passes.
    pub fn new(model: &'a Model, device: &'a mut dyn Accelerator) -> Self {
        Session {
            model,
            device,
            cache: Cache::new(model.architecture(), model.settings.cache),
            clock: Clock::new(model.settings.ps_time.as_ref()),
            position: 0,
            ring: None,
            decode_vectors: 1,
            lanes: Default::default(),
        }
    }

    /// Tokens fed so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Tokens that go through the device together when many are known beforehand: fed in pieces of so many, a prompt takes no longer.
    pub fn round_tokens(&self) -> usize {
        LANES * self.device.batch()
    }

    /// Forgets the tokens from `position` on, so that another continuation of the first ones can be
    /// tried without feeding those again.
    ///
    /// # Panics
    /// If `position` lies beyond [`Session::position`].
    pub fn rewind(&mut self, position: usize) {
        assert!(position <= self.position, "{position} of {}", self.position);
        self.cache.truncate(position);
        self.position = position;
    }

    /// The device, for its counters.
    pub fn device(&mut self) -> &mut dyn Accelerator {
        self.device
    }

    /// Lets even a single token run a program of at least `vectors` vectors, at most the device's batch: a caller that
    /// often has more than one saves the change of program.
    pub fn expect_vectors(&mut self, vectors: usize) {
        self.decode_vectors = vectors.clamp(1, self.device.batch());
    }

    /// Advances by `positions` whose keys and values are zeros: for measurements of time, which does not depend on them.
    pub fn pretend(&mut self, positions: usize) {
        let a = self.model.architecture();
        let zeros = vec![0.0; a.kv_width()];
        for layer in 0..a.num_hidden_layers {
            (0..positions).for_each(|_| self.cache.push(layer, &zeros, &zeros));
        }
        self.position += positions;
    }

    /// Lets the device's time run on by what the PS did since the last step, and tells what it was charged in all.
    ///
    /// # Errors
    /// If the device reports a fault meanwhile.
    pub fn settle(&mut self) -> Result<Charge, InferError> {
        self.clock.tell(self.device)?;
        Ok(self.clock.spent())
    }

    /// Notes every kernel from now on, for a timeline; returns what was noted before. Call it when the device has been told of all
    /// that was charged ([`Session::settle`]).
    pub fn log_kernels(&mut self) -> Vec<Spent> {
        self.clock.log()
    }

    /// Feeds one token without asking for logits.
    ///
    /// # Errors
    /// As [`Session::logits_after`].
    pub fn feed(&mut self, token: u32) -> Result<(), InferError> {
        self.feed_batch(&[token])
    }

    /// Feeds any number of tokens without asking for logits.
    ///
    /// # Errors
    /// As [`Session::logits_after`]; the session then stands behind the last batch that was fed whole.
    pub fn feed_batch(&mut self, tokens: &[u32]) -> Result<(), InferError> {
        self.rounds(tokens, false, &mut |_, _, _| Ok(()))
    }

    /// Feeds one token and returns the logits of the next, one for each id of the vocabulary.
    ///
    /// # Errors
    /// [`InferError`] if the token does not exist, the context is full, the device fails, or a
    /// logit is not a finite number.
    pub fn logits_after(&mut self, token: u32) -> Result<&[f32], InferError> {
        self.rounds(&[token], true, &mut |_, _, _| Ok(()))?;
        Ok(self.lanes[0]
            .logits()
            .next()
            .map_or(&[], |(logits, _)| logits))
    }

    /// Feeds any number of tokens; `each` is given the index and the next token's logits for every one of them, in order.
    ///
    /// # Errors
    /// As [`Session::feed_batch`], or what `each` returns.
    pub fn logits_each(
        &mut self,
        tokens: &[u32],
        mut each: impl FnMut(usize, &[f32]) -> Result<(), InferError>,
    ) -> Result<(), InferError> {
        self.rounds(tokens, true, &mut |i, logits, _| each(i, logits))
    }

    /// As [`Session::logits_each`]; `each` is told as well where the logits are largest, which is found while they still arrive.
    ///
    /// # Errors
    /// As there.
    pub fn peaks_each(
        &mut self,
        tokens: &[u32],
        mut each: impl FnMut(usize, &[f32], Peak) -> Result<(), InferError>,
    ) -> Result<(), InferError> {
        self.rounds(tokens, true, &mut each)
    }

    fn rounds(
        &mut self,
        tokens: &[u32],
        logits: bool,
        each: &mut EachLogits,
    ) -> Result<(), InferError> {
        if tokens.is_empty() {
            return Ok(());
        }
        self.check(tokens)?;
        let batch = self.device.batch();
        let mut index = 0;
        for tokens in tokens.chunks(LANES * batch) {
            let batches: Vec<&[u32]> = tokens.chunks(batch).collect();
            if let Err(error) = self.round(&batches, logits) {
                // What was begun is forgotten, here and on the device.
                self.cache.truncate(self.position);
                self.ring = None;
                return Err(error);
            }
            let first = self.position;
            self.position += tokens.len();
            if logits {
                let all = self.lanes[..batches.len()].iter().flat_map(Lane::logits);
                for (i, (logits, peak)) in all.enumerate() {
                    check_finite(logits, peak, first + i)?;
                    each(index + i, logits, peak)?;
                }
            }
            index += tokens.len();
        }
        Ok(())
    }

    fn check(&self, tokens: &[u32]) -> Result<(), InferError> {
        let context = self.model.architecture().max_position_embeddings;
        if self.position + tokens.len() > context {
            return Err(InferError::Input(format!(
                "the context is full: expected at most {context} tokens"
            )));
        }
        self.model.check_tokens(tokens)
    }

    /// One or two batches through all passes, in turns.
    fn round(&mut self, batches: &[&[u32]], logits: bool) -> Result<(), InferError> {
        let ps_head = logits && self.model.head() == Head::Fp16;
        let head = logits && !ps_head;
        self.set_ring(batches, head)?;
        let mut ps = Ps {
            model: self.model,
            cache: &mut self.cache,
            clock: &mut self.clock,
        };
        let device = &mut *self.device;
        let lanes = &mut self.lanes[..batches.len()];
        let mut first = self.position;
        for (lane, tokens) in lanes.iter_mut().zip(batches) {
            lane.begin(&mut ps, tokens, first);
            first += tokens.len();
        }
        let passes = self.model.layers.len() * PASSES_PER_LAYER + usize::from(head);
        for pass in 0..passes {
            for lane in lanes.iter_mut() {
                if pass > 0 {
                    lane.finish(&mut ps, device, pass - 1)?;
                }
                lane.submit(&mut ps, device, pass)?;
            }
        }
        for lane in lanes {
            lane.finish(&mut ps, device, passes - 1)?;
            if ps_head {
                lane.ps_head(&mut ps);
            }
        }
        Ok(())
    }

    fn set_ring(&mut self, batches: &[&[u32]], head: bool) -> Result<(), InferError> {
        let single = batches.len() == 1 && batches[0].len() <= self.decode_vectors;
        let ring = Ring {
            batches: batches.len(),
            // Not the exact number, or each remainder would load a program of its own.
            vectors: if single {
                self.decode_vectors
            } else {
                self.device.batch()
            },
            head,
        };
        if self.ring != Some(ring) {
            let passes = self.model.layers.len() * PASSES_PER_LAYER + usize::from(head);
            let turns = |pass| std::iter::repeat_n(pass, batches.len());
            let program: Vec<usize> = (0..passes).flat_map(turns).collect();
            self.device.set_program(&program, ring.vectors)?;
            self.ring = Some(ring);
        }
        Ok(())
    }
}

fn check_finite(logits: &[f32], peak: Peak, position: usize) -> Result<(), InferError> {
    if peak.finite {
        return Ok(());
    }
    let token = logits.iter().position(|v| !v.is_finite());
    let token = token.expect("a value is not finite");
    Err(InferError::NotANumber {
        position,
        token,
        value: logits[token],
    })
}
