//! Texts that end a text: what may be the beginning of one is held back until it is certain.

/// Text that comes in pieces and ends before the first of some strings.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    strings: Vec<String>,
    /// What came and was not given out.
    held: String,
    hit: bool,
}

impl Stops {
    /// Ends at any of `strings`; empty ones never come.
    pub fn new(strings: Vec<String>) -> Self {
        Stops {
            strings: strings.into_iter().filter(|s| !s.is_empty()).collect(),
            ..Stops::default()
        }
    }

    /// Adds text; returns what is certain now. After a string was [hit](Self::hit) nothing is.
    ///
    /// Of several strings the one that is complete first counts: how the text is cut into pieces does not matter.
    pub fn push(&mut self, text: &str) -> String {
        if self.hit {
            return String::new();
        }
        self.held += text;
        let places = self.strings.iter().filter_map(|s| {
            let start = self.held.find(s)?;
            Some((start + s.len(), start))
        });
        if let Some((_, start)) = places.min() {
            self.hit = true;
            self.held.truncate(start);
            return std::mem::take(&mut self.held);
        }
        let starts = self.held.char_indices().map(|(at, _)| at);
        let open = |at: &usize| {
            self.strings
                .iter()
                .any(|s| s.starts_with(&self.held[*at..]))
        };
        let certain = starts.into_iter().find(open).unwrap_or(self.held.len());
        let rest = self.held.split_off(certain);
        std::mem::replace(&mut self.held, rest)
    }

    /// Whether a string was found: the text ends before it.
    pub fn hit(&self) -> bool {
        self.hit
    }

    /// What was held back, at the end of a text in which no string was found.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text that is given out, and whether it was ended.
    fn through(strings: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut stops = Stops::new(strings.iter().map(|s| (*s).into()).collect());
        let mut out: String = pieces.iter().map(|p| stops.push(p)).collect();
        out += &stops.finish();
        (out, stops.hit())
    }

    #[test]
    fn a_beginning_is_held_back_until_it_is_certain() {
        let mut stops = Stops::new(vec!["END".into()]);
        assert_eq!(stops.push("an E"), "an ");
        assert_eq!(stops.push("N"), "");
        assert_eq!(stops.push("T E"), "ENT ");
        assert_eq!(stops.push("ND of it"), "");
        assert!(stops.hit());
        assert_eq!(stops.push("more"), "");
        assert_eq!(stops.finish(), "");
        assert_eq!(through(&["END"], &["the E", "N"]), ("the EN".into(), false));
    }

    #[test]
    fn the_first_that_is_complete_counts() {
        assert_eq!(through(&["xyz", "y"], &["axyz"]), ("ax".into(), true));
        assert_eq!(
            through(&["xyz", "y"], &["a", "x", "y", "z"]),
            ("ax".into(), true)
        );
        assert_eq!(through(&["bc", "abc"], &["abc"]), ("".into(), true));
        assert_eq!(through(&["", "b"], &["ab"]), ("a".into(), true));
    }

    #[test]
    fn a_beginning_that_begins_again_is_not_missed() {
        assert_eq!(through(&["aab"], &["a", "a", "a", "b"]), ("a".into(), true));
        assert_eq!(
            through(&["\u{e9}x"], &["\u{e9}", "\u{e9}x"]),
            ("\u{e9}".into(), true)
        );
    }

    proptest! {
        /// By the definition: the text up to the start of the match that ends first.
        #[test]
        fn pieces_do_not_matter(
            text in "[abä]{0,24}",
            strings in prop::collection::vec("[abä]{1,4}", 0..3),
            cuts in prop::collection::vec(0usize..25, 0..6),
        ) {
            let place = |end: usize| {
                let before = &text[..end];
                let ends = strings.iter().filter(|s| before.ends_with(s.as_str()));
                ends.map(|s| end - s.len()).min()
            };
            let ends = (1..=text.len()).filter(|e| text.is_char_boundary(*e));
            let cut = ends.filter_map(place).next();
            let want = (text[..cut.unwrap_or(text.len())].to_owned(), cut.is_some());
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|c| *c <= text.len() && text.is_char_boundary(*c)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let strings: Vec<&str> = strings.iter().map(String::as_str).collect();
            prop_assert_eq!(through(&strings, &pieces), want);
        }
    }
}
