//! Keys and values of the positions fed so far.

use macromac_format::Architecture;

use crate::kernels::cache::{CacheType, HeadCache, Order};

/// Keys and values, [layer][key-value head].
#[derive(Debug)]
pub(super) struct Cache {
    d: usize,
    keys: Vec<Vec<HeadCache>>,
    values: Vec<Vec<HeadCache>>,
}

impl Cache {
    /// An empty cache of numbers of this format.
    pub fn new(a: &Architecture, format: CacheType) -> Self {
        let empty = |order| {
            let head = HeadCache::new(order, format, a.head_dim);
            vec![vec![head; a.num_key_value_heads]; a.num_hidden_layers]
        };
        Cache {
            d: a.head_dim,
            keys: empty(Order::Keys),
            values: empty(Order::Values),
        }
    }

    /// Appends one position of a layer: `k` and `v` are [heads x head size].
    pub fn push(&mut self, layer: usize, k: &[f32], v: &[f32]) {
        let (keys, values) = (&mut self.keys[layer], &mut self.values[layer]);
        for (h, (k, v)) in k.chunks(self.d).zip(v.chunks(self.d)).enumerate() {
            keys[h].push(k);
            values[h].push(v);
        }
    }

    /// Keys of a layer by head.
    pub fn keys(&self, layer: usize) -> &[HeadCache] {
        &self.keys[layer]
    }

    /// Values of a layer by head.
    pub fn values(&self, layer: usize) -> &[HeadCache] {
        &self.values[layer]
    }

    /// Positions held by a layer.
    pub fn positions(&self, layer: usize) -> usize {
        self.keys[layer][0].len()
    }

    /// Forgets the positions from `position` on.
    pub fn truncate(&mut self, position: usize) {
        for cache in [&mut self.keys, &mut self.values] {
            cache
                .iter_mut()
                .flatten()
                .for_each(|head| head.truncate(position));
        }
    }
}
