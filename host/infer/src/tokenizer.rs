//! Text to tokens and back, by the model's `tokenizer.json`.

use std::path::{Path, PathBuf};

use crate::InferError;

/// The tokenizer of a model folder.
#[derive(Debug)]
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of folder `dir`.
    ///
    /// # Errors
    /// [`InferError`] if it is missing or no tokenizer.
    pub fn open(dir: &Path) -> Result<Self, InferError> {
        let path = dir.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(InferError::io(&path, "read"))?;
        let inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|e| {
            let reason = format!("expected a tokenizer of the tokenizers library, found: {e}");
            InferError::checkpoint(&path, reason)
        })?;
        Ok(Tokenizer { path, inner })
    }

    /// Token ids of a text; special tokens written out in it become their ids.
    ///
    /// # Errors
    /// [`InferError`] if the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, InferError> {
        match self.inner.encode(text, true) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(e) => Err(InferError::checkpoint(
                &self.path,
                format!("cannot encode: {e}"),
            )),
        }
    }

    /// Text of token ids, special tokens included; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`InferError`] if the tokenizer refuses the ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String, InferError> {
        self.inner
            .decode(ids, false)
            .map_err(|e| InferError::checkpoint(&self.path, format!("cannot decode: {e}")))
    }

    /// The id of a token by its own spelling, special tokens included.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Begins a text that comes token by token.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream {
            tokenizer: self,
            ids: Vec::new(),
            from: 0,
            shown: 0,
        }
    }
}

/// Text that comes token by token: a character whose bytes are not all there yet is held back.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    /// Start of the window that is decoded: earlier tokens cannot change what follows.
    from: usize,
    /// End of the tokens whose text was given out.
    shown: usize,
}

impl TextStream<'_> {
    /// Adds a token and returns the text that is certain now, maybe nothing.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<String, InferError> {
        self.ids.push(id);
        self.advance(false)
    }

    /// The rest of the text: an incomplete character as U+FFFD.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn finish(mut self) -> Result<String, InferError> {
        self.advance(true)
    }

    fn advance(&mut self, last: bool) -> Result<String, InferError> {
        let before = self.tokenizer.decode(&self.ids[self.from..self.shown])?;
        let now = self.tokenizer.decode(&self.ids[self.from..])?;
        if now.ends_with('\u{FFFD}') && !last {
            return Ok(String::new());
        }
        // The window keeps the last shown tokens, since a decoder may treat a first token
        // differently (a leading blank).
        let new = now.strip_prefix(&before).unwrap_or(&now).to_owned();
        self.from = self.shown;
        self.shown = self.ids.len();
        Ok(new)
    }
}
