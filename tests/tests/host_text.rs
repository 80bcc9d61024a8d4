//! Text that comes token by token.

use std::path::PathBuf;

use macromac_infer::Tokenizer;

/// A tokenizer so small that most characters outside ASCII are several tokens.
fn tokenizer() -> Tokenizer {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Tokenizer::open(&root.join("data/tiny-a/fp")).unwrap()
}

#[test]
fn characters_come_whole() {
    let tokenizer = tokenizer();
    for text in [
        "a plain text",
        " naïve 🙂🙂 café 日本語 ",
        "🇩🇪",
        "x\u{FFFD}y",
        "",
    ] {
        let ids = tokenizer.encode(text).unwrap();
        let mut stream = tokenizer.stream();
        let mut joined = String::new();
        let mut held_back = 0;
        for id in &ids {
            let piece = stream.push(*id).unwrap();
            assert!(
                text.contains('\u{FFFD}') || !piece.contains('\u{FFFD}'),
                "{text}: {piece}"
            );
            held_back += usize::from(piece.is_empty());
            joined += &piece;
        }
        joined += &stream.finish().unwrap();
        assert_eq!(joined, text);
        assert_eq!(joined, tokenizer.decode(&ids).unwrap());
        if text.contains('🙂') {
            assert!(held_back > 0, "some character is several tokens");
        }
    }
}

#[test]
fn a_text_cut_inside_a_character_ends_with_its_replacement() {
    let tokenizer = tokenizer();
    let ids = tokenizer.encode("ab🙂").unwrap();
    let mut stream = tokenizer.stream();
    let mut text = String::new();
    for id in &ids[..ids.len() - 1] {
        text += &stream.push(*id).unwrap();
    }
    assert_eq!(text, "ab");
    text += &stream.finish().unwrap();
    assert!(text.starts_with("ab\u{FFFD}"), "{text}");
}
