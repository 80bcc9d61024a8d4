//! Prompt-lookup decoding: the text itself proposes how it goes on.
//!
//! Where the last tokens stood before, what followed them then is a draft of what follows now. One pass through the
//! device verifies the draft in vectors that would be idle otherwise: the model's own choices are kept as far as they equal it,
//! so the text is that of plain decoding, whatever the draft.

/// Longest and shortest run of tokens that is looked for.
const NGRAM: std::ops::RangeInclusive<usize> = 1..=3;

/// At most `n` tokens that followed the latest earlier place of the longest run of tokens with which `history` ends; empty if there
/// is no such place.
pub fn draft(history: &[u32], n: usize) -> &[u32] {
    for length in NGRAM.rev() {
        let Some(before) = history.len().checked_sub(length) else {
            continue;
        };
        let run = &history[before..];
        // Places whose continuation begins before the end of the history.
        let place = (0..before)
            .rev()
            .find(|at| &history[*at..at + length] == run);
        if let Some(at) = place {
            let rest = &history[at + length..];
            return &rest[..n.min(rest.len())];
        }
    }
    &[]
}

/// What lookup came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Rounds through the device.
    pub passes: usize,
    /// Tokens that the model chose, the one that ended the text included.
    pub chosen: usize,
    /// Tokens proposed.
    pub drafted: usize,
    /// Tokens proposed that the model chose as well.
    pub accepted: usize,
}

impl std::fmt::Display for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        write!(
            f,
            "lookup: {} of {} drafted tokens accepted ({:.0}%), {:.2} tokens a pass ({} passes)",
            self.accepted,
            self.drafted,
            100.0 * share(self.accepted, self.drafted),
            share(self.chosen, self.passes),
            self.passes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_run_wins_and_then_the_latest() {
        let history = [1, 2, 3, 9, 9, 2, 3, 7, 5, 1, 2, 3];
        // 1 2 3 stood at the beginning; 2 3 alone stood later, too.
        assert_eq!(draft(&history, 4), [9, 9, 2, 3]);
        assert_eq!(draft(&history, 1), [9]);
        assert_eq!(draft(&history[5..], 9), [7, 5, 1, 2, 3]);
        assert_eq!(draft(&[4, 8, 4, 6, 4], 9), [6, 4]);
    }

    #[test]
    fn without_an_earlier_place_there_is_no_draft() {
        for history in [&[][..], &[1], &[1, 2], &[1, 2, 3, 4]] {
            assert!(draft(history, 4).is_empty());
        }
        assert!(draft(&[1, 1], 0).is_empty());
        // A run that overlaps itself.
        assert_eq!(draft(&[7, 7, 7, 7], 4), [7]);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let text = Lookup::default().to_string();
        assert!(text.contains("0 of 0") && !text.contains("NaN"), "{text}");
    }
}
