//! Stimulus that the testbenches of the `kv260` unit share: tiles of both weight formats, and vectors.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code)]

use std::collections::VecDeque;

use macromac_golden::group::{self, Format, Vector};
use macromac_golden::macro_block::{GROUP, MACRO_BYTES, STRIP_BYTES, TILE};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::unit_mac_common::{Flavour, activation, random_macro};

/// A 128-bit word as the ports have it.
pub type Strip = [u32; 4];

/// Macros that share a zeros strip in format 2.
pub const QUAD: usize = 4;

/// What the unit sees with a strip.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Beat {
    pub data: Strip,
    pub last: bool,
    pub shared: bool,
    pub vectors: usize,
    /// Marks of the vectors; meaningful with the tile's last strip.
    pub nan: u16,
}

/// What the unit sees with the activations of a weight strip.
#[derive(Clone, PartialEq, Debug)]
pub struct Acts {
    /// Of each of the unit's vectors, taking part or not.
    pub mant: Vec<[i16; 4]>,
    pub exp: Vec<u8>,
}

/// An output-channel tile in either format, and the vectors it meets.
pub struct GroupTile {
    pub format: Format,
    pub bytes: Vec<u8>,
    pub groups: usize,
    pub vectors: Vec<Vector>,
}

/// The macros of a tile as the bytes of a format.
pub fn encode(format: Format, macros: &[[u8; MACRO_BYTES]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match format {
        Format::One => macros.iter().for_each(|m| bytes.extend_from_slice(m)),
        Format::Two => {
            for quad in macros.chunks(QUAD) {
                let mut zeros = [0; STRIP_BYTES];
                for (zeros, m) in zeros.chunks_exact_mut(4).zip(quad) {
                    zeros.copy_from_slice(&m[16..20]);
                }
                bytes.extend_from_slice(&zeros);
                for m in quad {
                    bytes.extend_from_slice(&m[..16]);
                    bytes.extend_from_slice(&m[32..]);
                }
            }
        }
    }
    assert_eq!(bytes.len(), format.tile_bytes(macros.len()));
    bytes
}

/// Activations of a vector of `groups` groups, finite.
pub fn finite(rng: &mut ChaCha8Rng, groups: usize, flavour: Flavour) -> Vec<f32> {
    let mut x: Vec<f32> = (0..GROUP * groups)
        .map(|_| {
            let bits = activation(rng, flavour);
            let finite = if bits >> 23 & 255 == 255 {
                bits & 0xBFFF_FFFF
            } else {
                bits
            };
            f32::from_bits(finite)
        })
        .collect();
    if flavour == Flavour::Cancel {
        for pair in x.chunks_exact_mut(2) {
            let nudge = u32::from(rng.random_bool(0.3));
            pair[1] = -f32::from_bits(pair[0].to_bits() ^ nudge);
        }
    }
    // Some groups of zeros.
    for group in x.chunks_exact_mut(GROUP) {
        if rng.random_bool(0.05) {
            group.fill(0.0);
        }
    }
    x
}

impl GroupTile {
    /// A random tile of `groups` macros for `vectors` vectors, some of them with NaN or infinity.
    pub fn random(
        rng: &mut ChaCha8Rng,
        format: Format,
        groups: usize,
        vectors: usize,
        flavour: Flavour,
    ) -> Self {
        let macros: Vec<_> = (0..groups).map(|_| random_macro(rng, flavour)).collect();
        let vectors = (0..vectors)
            .map(|_| {
                let mut x = finite(rng, groups, flavour);
                if rng.random_bool(0.1) {
                    let at = rng.random_range(0..x.len());
                    x[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][rng.random_range(0..3)];
                }
                Vector::new(&x)
            })
            .collect();
        Self {
            format,
            bytes: encode(format, &macros),
            groups,
            vectors,
        }
    }

    /// Golden results, as bits.
    pub fn expected(&self) -> Vec<[u32; TILE]> {
        group::tile(self.format, &self.bytes, &self.vectors)
            .expect("no reserved bits are set")
            .into_iter()
            .map(|y| y.map(f32::to_bits))
            .collect()
    }

    /// Strips of the tile. What the unit must not look at is random.
    pub fn beats(&self, rng: &mut ChaCha8Rng) -> Vec<Beat> {
        let strips = self.format.tile_strips(self.groups);
        let marks = marks_of(&self.vectors);
        let others = !((1u32 << self.vectors.len()) - 1) as u16;
        (0..strips)
            .map(|s| {
                let (last, looked_at) = match self.format {
                    Format::One => (s / 18 + 1 == self.groups, true),
                    Format::Two => {
                        let (quad, at) = (s / 69, s % 69);
                        let place = at.saturating_sub(1) / 17;
                        (quad * QUAD + place + 1 == self.groups, at > 0)
                    }
                };
                Beat {
                    data: std::array::from_fn(|w| {
                        let at = STRIP_BYTES * s + 4 * w;
                        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
                    }),
                    last: if looked_at { last } else { rng.random() },
                    shared: self.format == Format::Two,
                    vectors: self.vectors.len(),
                    nan: if s + 1 == strips {
                        marks | rng.random::<u16>() & others
                    } else {
                        rng.random()
                    },
                }
            })
            .collect()
    }

    /// Activations of each weight strip for a unit of `batch` vectors; idle and marked vectors get noise.
    pub fn acts(&self, rng: &mut ChaCha8Rng, batch: usize) -> VecDeque<Acts> {
        let mut all = VecDeque::new();
        for g in 0..self.groups {
            let exp: Vec<u8> = (0..batch)
                .map(|v| {
                    self.vectors
                        .get(v)
                        .map_or_else(|| rng.random(), |x| x.groups[g].exponent)
                })
                .collect();
            for s in 0..GROUP / 4 {
                let mant = (0..batch)
                    .map(|v| match self.vectors.get(v) {
                        Some(x) if !x.nan => std::array::from_fn(|r| x.groups[g].m[4 * s + r]),
                        _ => rng.random(),
                    })
                    .collect();
                all.push_back(Acts {
                    mant,
                    exp: exp.clone(),
                });
            }
        }
        all
    }
}

fn marks_of(vectors: &[Vector]) -> u16 {
    (0..).zip(vectors).map(|(v, x)| u16::from(x.nan) << v).sum()
}
