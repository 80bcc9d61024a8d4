//! How much work the quantizer has and how much is done, for the time left.

use macromac_format::Architecture;

/// Steps of a layer, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// What comes into q, k and v.
    QkvInputs,
    /// Scales and ranges of q, k and v.
    QkvSearch,
    /// Attention: what comes into o.
    OInputs,
    /// Scales and ranges of o.
    OSearch,
    /// Attention with the scales folded in, through o.
    OProduct,
    /// What comes into gate and up.
    GateUpInputs,
    /// Scales and ranges of gate and up.
    GateUpSearch,
    /// What comes into down.
    DownInputs,
    /// Scales and ranges of down.
    DownSearch,
    /// The feed-forward layer with the scales folded in, through down.
    DownProduct,
}

/// Steps of a layer.
const STEPS: usize = Step::DownProduct as usize + 1;

/// Counts work in units of one multiply-add of a large matrix product.
#[derive(Debug)]
pub struct Meter {
    /// Cost of each step of a layer.
    costs: [f64; STEPS],
    layers: usize,
    tokens: usize,
    /// Step under way and tokens of it that are done.
    at: (usize, Step, usize),
}

impl Meter {
    /// For `tokens` calibration tokens in windows of `window`.
    pub fn new(arch: &Architecture, tokens: usize, window: usize) -> Self {
        let (t, h, i) = (
            tokens as f64,
            arch.hidden_size as f64,
            arch.intermediate_size as f64,
        );
        let (q, kv) = (arch.q_width() as f64, arch.kv_width() as f64);
        // Half of a Gram matrix; a search looks at a million weights 40 times, and 100 times at each weight with half of its group
        // and the cross term. What runs slower than a large product counts more: measured, roughly.
        let gram = |k: f64| t * k * k / 2.0;
        let search = |n: f64, k: f64| 40.0 * k * (256.0 * k).max(1e6) + n * k * (7000.0 + k);
        let attention = t * h * (q + 2.0 * kv) + 8.0 * t * window as f64 * q;
        let feed_forward = 2.0 * t * h * i;
        Meter {
            costs: [
                gram(h),
                search(q + 2.0 * kv, h),
                attention + gram(q),
                search(h, q),
                attention + t * q * h,
                gram(h),
                search(2.0 * i, h),
                feed_forward + gram(i),
                search(h, i),
                feed_forward + t * i * h,
            ],
            layers: arch.num_hidden_layers,
            tokens,
            at: (0, Step::QkvInputs, 0),
        }
    }

    /// Another `tokens` of a step are done; returns the share of the work done so far.
    pub fn advance(&mut self, layer: usize, step: Step, tokens: usize) -> f64 {
        let before = match self.at {
            (l, s, done) if (l, s) == (layer, step) => done,
            _ => 0,
        };
        self.at = (layer, step, before + tokens);
        let done = (before + tokens) as f64 / self.tokens as f64;
        self.share(layer, step, done)
    }

    /// A step is done; returns the share of the work done so far.
    pub fn finish(&self, layer: usize, step: Step) -> f64 {
        self.share(layer, step, 1.0)
    }

    fn share(&self, layer: usize, step: Step, part: f64) -> f64 {
        let of_layer: f64 = self.costs.iter().sum();
        let before: f64 = self.costs[..step as usize].iter().sum();
        let done = before + part * self.costs[step as usize];
        (layer as f64 + done / of_layer) / self.layers as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_rises_from_0_to_1_in_the_order_of_the_steps() {
        let arch = Architecture {
            vocab_size: 10,
            hidden_size: 64,
            intermediate_size: 128,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 32,
            rms_norm_eps: 1e-6,
            rope_theta: 1e4,
            max_position_embeddings: 8,
            tie_word_embeddings: true,
        };
        use Step::*;
        let mut meter = Meter::new(&arch, 20, 8);
        let mut shares = vec![0.0];
        for layer in 0..2 {
            for (inputs, after) in [
                (QkvInputs, QkvSearch),
                (OInputs, OSearch),
                (OProduct, OProduct),
                (GateUpInputs, GateUpSearch),
                (DownInputs, DownSearch),
                (DownProduct, DownProduct),
            ] {
                shares.push(meter.advance(layer, inputs, 16));
                shares.push(meter.advance(layer, inputs, 4));
                if after != inputs {
                    shares.push(meter.finish(layer, after));
                }
            }
            let want = (layer + 1) as f64 / 2.0;
            assert!((shares[shares.len() - 1] - want).abs() < 1e-12);
        }
        assert!(shares.windows(2).all(|w| w[0] < w[1]), "{shares:?}");
    }
}
