//! Which checkpoint matrix a row of a fused pass comes from.
//!
//! `qkv` holds the rows of q, k and v one after the other. `gate_up` alternates gate and up tile by
//! tile (gate tile 0, up tile 0, gate tile 1, ...), so that both halves of a SiLU product are
//! finished at the same time; where the width is no multiple of 8, each last tile is padded.

use macromac_format::model::PASSES_PER_LAYER;
use macromac_format::{Architecture, TILE};

pub use macromac_ps::vector::gate_up_rows;

/// The kinds of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassKind {
    /// Query, key and value projections.
    Qkv,
    /// Attention's output projection.
    O,
    /// Gate and up projections.
    GateUp,
    /// Down projection.
    Down,
    /// Output matrix.
    LmHead,
}

impl PassKind {
    /// Kind and layer of a pass id; the layer of `lm_head` is the number of layers.
    pub fn of(arch: &Architecture, pass: usize) -> (PassKind, usize) {
        let layer = pass / PASSES_PER_LAYER;
        if layer == arch.num_hidden_layers {
            return (PassKind::LmHead, layer);
        }
        let kind = [PassKind::Qkv, PassKind::O, PassKind::GateUp, PassKind::Down];
        (kind[pass % PASSES_PER_LAYER], layer)
    }

    /// Names of the checkpoint matrices a pass is made of, with their rows.
    pub fn parts(self, arch: &Architecture, layer: usize) -> Vec<(String, usize)> {
        let of_layer = |part: &str| format!("model.layers.{layer}.{part}.weight");
        let (h, i) = (arch.hidden_size, arch.intermediate_size);
        match self {
            PassKind::Qkv => vec![
                (of_layer("self_attn.q_proj"), arch.q_width()),
                (of_layer("self_attn.k_proj"), arch.kv_width()),
                (of_layer("self_attn.v_proj"), arch.kv_width()),
            ],
            PassKind::O => vec![(of_layer("self_attn.o_proj"), h)],
            PassKind::GateUp => vec![(of_layer("mlp.gate_proj"), i), (of_layer("mlp.up_proj"), i)],
            PassKind::Down => vec![(of_layer("mlp.down_proj"), h)],
            PassKind::LmHead if arch.tie_word_embeddings => {
                vec![("model.embed_tokens.weight".into(), arch.vocab_size)]
            }
            PassKind::LmHead => vec![("lm_head.weight".into(), arch.vocab_size)],
        }
    }

    /// Part and row within the part of row `row` of the pass; `None` where the row is padding.
    pub fn locate(self, arch: &Architecture, row: usize) -> Option<(usize, usize)> {
        match self {
            PassKind::Qkv => {
                let (q, kv) = (arch.q_width(), arch.kv_width());
                Some(match row {
                    r if r < q => (0, r),
                    r if r < q + kv => (1, r - q),
                    r => (2, r - q - kv),
                })
            }
            PassKind::GateUp => {
                let tile = row / TILE;
                let inner = tile / 2 * TILE + row % TILE;
                (inner < arch.intermediate_size).then_some((tile % 2, inner))
            }
            PassKind::O | PassKind::Down | PassKind::LmHead => Some((0, row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gate_and_up_alternate_and_every_row_has_its_place() {
        let arch = Architecture {
            vocab_size: 10,
            hidden_size: 8,
            intermediate_size: 20,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 4,
            rms_norm_eps: 1e-6,
            rope_theta: 1e4,
            max_position_embeddings: 8,
            tie_word_embeddings: true,
        };
        for i in 0..20 {
            let (gate, up) = gate_up_rows(i);
            assert_eq!(PassKind::GateUp.locate(&arch, gate), Some((0, i)));
            assert_eq!(PassKind::GateUp.locate(&arch, up), Some((1, i)));
        }
        let padding = (0..arch.gate_up_rows())
            .filter(|r| PassKind::GateUp.locate(&arch, *r).is_none())
            .count();
        assert_eq!(padding, 8);
        assert_eq!(PassKind::Qkv.locate(&arch, 13), Some((2, 1)));
        assert_eq!(PassKind::of(&arch, 2), (PassKind::GateUp, 0));
        assert_eq!(PassKind::of(&arch, 4), (PassKind::LmHead, 1));
    }
}
