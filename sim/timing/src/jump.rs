//! Rows that are not stepped: a pass of thousands of tile rows goes on as it did once the prefetch FIFOs are as full as they will be.

use crate::chip::{Chip, Counts};

/// Tile rows of a pass that is long.
pub(crate) const LEAST: u32 = 1024;
/// Rows that are compared.
const WINDOW: u32 = 256;
/// Rows that are stepped before the pass ends, at least.
const REST: u32 = 256;
/// Beats by which the ports' lead may have changed over a window.
const STEADY: u32 = 64;
/// Bytes after which the memory's banks repeat: the rows that are passed over are a multiple of it.
const BANKS: u32 = 65_536;

/// What was seen a window ago, and what was passed over.
#[derive(Debug, Default)]
pub(crate) struct Jumps {
    window: Option<Window>,
    /// Row that was looked at last.
    row: u32,
    /// Cycles passed over.
    pub cycles: u64,
}

#[derive(Debug)]
struct Window {
    rows_left: u32,
    cycle: u64,
    ahead: Option<[u32; 4]>,
    counts: Counts,
}

impl Jumps {
    /// A row begins, with `left` of the pass before it is done.
    pub fn row(&mut self, chip: &mut Chip, cycle: u64, left: u32, strips: u32) {
        if left == self.row || left % WINDOW != 0 {
            return;
        }
        self.row = left;
        let now = Window {
            rows_left: left,
            cycle,
            ahead: chip.ahead(left, strips),
            counts: chip.counts.clone(),
        };
        let Some(before) = self.window.replace(now) else {
            return;
        };
        let Some(now) = &self.window else {
            return;
        };
        let steady = match (before.ahead, now.ahead) {
            (Some(a), Some(b)) => a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) <= STEADY),
            _ => false,
        };
        if !steady || before.rows_left != left + WINDOW {
            return;
        }
        let unit = (BANKS / gcd(strips * 16, BANKS)).max(WINDOW);
        let ahead = now.ahead.unwrap_or_default().into_iter().max();
        let claimed = ahead.unwrap_or(0).div_ceil(strips);
        let rows = left.saturating_sub(REST + claimed) / unit * unit;
        if rows == 0 {
            return;
        }
        let times = u64::from(rows / WINDOW);
        let taken = now.counts.since(&before.counts);
        self.cycles += times * (cycle - before.cycle);
        chip.counts = now.counts.plus(&taken, times);
        chip.jump(rows, strips);
        self.window = None;
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
