//! Keys and values of the positions fed so far.

use macromac_format::Architecture;

/// FP32 keys and values, [layer][key-value head][position x head size].
#[derive(Debug)]
pub(super) struct Cache {
    d: usize,
    keys: Vec<Vec<Vec<f32>>>,
    values: Vec<Vec<Vec<f32>>>,
}

impl Cache {
    /// An empty cache.
    pub fn new(a: &Architecture) -> Self {
        let empty = || vec![vec![Vec::new(); a.num_key_value_heads]; a.num_hidden_layers];
        Cache {
            d: a.head_dim,
            keys: empty(),
            values: empty(),
        }
    }

    /// Appends one position of a layer: `k` and `v` are [heads x head size].
    pub fn push(&mut self, layer: usize, k: &[f32], v: &[f32]) {
        let (keys, values) = (&mut self.keys[layer], &mut self.values[layer]);
        for (h, (k, v)) in k.chunks(self.d).zip(v.chunks(self.d)).enumerate() {
            keys[h].extend_from_slice(k);
            values[h].extend_from_slice(v);
        }
    }

    /// Keys of a head, [positions x head size].
    pub fn keys(&self, layer: usize, head: usize) -> &[f32] {
        &self.keys[layer][head]
    }

    /// Values of a head, [positions x head size].
    pub fn values(&self, layer: usize, head: usize) -> &[f32] {
        &self.values[layer][head]
    }

    /// Forgets the positions from `position` on.
    pub fn truncate(&mut self, position: usize) {
        let width = position * self.d;
        for cache in [&mut self.keys, &mut self.values] {
            cache.iter_mut().flatten().for_each(|h| h.truncate(width));
        }
    }
}
