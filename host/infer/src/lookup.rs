//! Prompt-lookup decoding: the text itself proposes how it goes on.
//!
//! Where the last tokens stood before, what followed them then is a draft of what follows now. One pass through the
//! device verifies the draft in vectors that would be idle otherwise: the model's own choices are kept as far as they equal it,
//! so the text is that of plain decoding, whatever the draft.

/// Longest run of tokens that is looked for. A longer one agrees with fewer places, and those go on alike more often.
const LONGEST: usize = 16;

/// At most `n` tokens that may follow `history`: what followed the latest earlier place of the longest run with which it ends, twice as many as
/// the run has; none if not even its last token stood there before. Where that place is so near that what followed ends early, it goes on as if the
/// draft were there already: a text that repeats with a short period is drafted in full.
pub fn draft(history: &[u32], n: usize) -> Vec<u32> {
    let Some(last) = history.len().checked_sub(1) else {
        return Vec::new();
    };
    // Length of the run that ends at a place.
    let run = |end: usize| {
        let pairs = history[..=end].iter().rev().zip(history.iter().rev());
        pairs.take(LONGEST).take_while(|(a, b)| a == b).count()
    };
    let (mut longest, mut place) = (0, 0);
    for end in (0..last).rev() {
        let length = run(end);
        // Of equals the later place stays.
        if length > longest {
            (longest, place) = (length, end);
        }
        if length == LONGEST {
            break;
        }
    }
    let period = last - place;
    let n = n.min(2 * longest);
    (0..n).map(|i| history[place + 1 + i % period]).collect()
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
        assert_eq!(draft(&history[5..], 9), [7, 5, 1, 2]);
        assert_eq!(draft(&[4, 8, 4, 6, 4], 9), [6, 4]);
        // Of runs of five and four the longer one, though it is older.
        let long = [8, 1, 2, 3, 4, 7, 0, 1, 2, 3, 4, 5, 8, 1, 2, 3, 4];
        assert_eq!(draft(&long, 1), [7]);
    }

    #[test]
    fn without_an_earlier_place_there_is_no_draft() {
        for history in [&[][..], &[1], &[1, 2], &[1, 2, 3, 4]] {
            assert!(draft(history, 4).is_empty());
        }
        assert!(draft(&[1, 1], 0).is_empty());
    }

    #[test]
    fn a_short_period_is_drafted_in_full() {
        assert_eq!(draft(&[7, 7, 7, 7], 4), [7; 4]);
        assert_eq!(draft(&[1, 2, 3, 1, 2, 3, 1, 2], 7), [3, 1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let text = Lookup::default().to_string();
        assert!(text.contains("0 of 0") && !text.contains("NaN"), "{text}");
    }
}
