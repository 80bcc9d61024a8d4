//! Renderings of the templates of Qwen2.5, as Hugging Face transformers 5.23 renders them, and of what templates in general may hold.

use super::*;

/// `template`, `messages`, `rendered` of each case: see the folder's README.
const VECTORS: &str = include_str!("../../../../tests/data/chat/vectors.jsonl");
const INSTRUCT: &str = include_str!("../../../../tests/data/chat/instruct.jinja");
const BASE: &str = include_str!("../../../../tests/data/chat/base.jinja");

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source.into(), Some("<s>".into()), None).unwrap()
}

fn render(source: &str) -> Result<String, String> {
    let messages = [
        Message::new("user", " Hi\n"),
        Message::new("assistant", "\"<a>\" & 'b'"),
    ];
    template(source)
        .render(&messages)
        .map_err(|e| e.to_string())
}

#[test]
fn qwen_is_rendered_as_by_transformers() {
    let mut cases = 0;
    for line in VECTORS.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let source = match case["template"].as_str() {
            Some("instruct") => INSTRUCT,
            Some("base") => BASE,
            other => panic!("{other:?}"),
        };
        let text = |v: &serde_json::Value, key: &str| v[key].as_str().unwrap().to_owned();
        let messages = case["messages"].as_array().unwrap().iter();
        let messages: Vec<Message> = messages
            .map(|m| Message::new(&text(m, "role"), &text(m, "content")))
            .collect();
        let rendered = template(source).render(&messages).unwrap();
        assert_eq!(rendered, text(&case, "rendered"), "{}", case["name"]);
        cases += 1;
    }
    assert_eq!(cases, 6);
}

#[test]
fn chatml_is_the_template_without_a_system_message() {
    let messages = [
        Message::new("system", "Be short."),
        Message::new("user", "Hi"),
    ];
    let want = "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(ChatTemplate::chatml().render(&messages).unwrap(), want);
    assert_eq!(template(INSTRUCT).render(&messages).unwrap(), want);
}

#[test]
fn blocks_take_no_line_of_their_own() {
    let source =
        "{% for m in messages %}\n  {% if m.role == 'user' %}\nU\n  {% endif %}\n{% endfor %}\n.";
    assert_eq!(render(source).unwrap(), "U\n.");
}

#[test]
fn templates_have_what_pythons_have() {
    for (source, want) in [
        ("{{ messages[0].content.strip() }}", "Hi"),
        ("{{ messages[0]['content'] | trim }}", "Hi"),
        ("{{ bos_token }}{{ eos_token is none }}", "<s>True"),
        ("{{ messages[1].content | tojson }}", r#""\"<a>\" & 'b'""#),
        (
            "{{ {'a': [1, 2.5, none], 'b': true} | tojson(indent=2) }}",
            r#"{"a": [1, 2.5, null], "b": true}"#,
        ),
        (
            "{{ messages[-1].role }}{% set n = namespace(x=1) %}{% set n.x = 2 %}{{ n.x }}",
            "assistant2",
        ),
        (
            "{% for m in messages %}{% if loop.last %}{{ loop.index0 }}{% endif %}{% endfor %}",
            "1",
        ),
        (
            "{{ messages[0].nothing }}{% if tools %}T{% endif %}{% if tools is defined %}D{% endif %}",
            "",
        ),
        ("{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f(1) }}", "[1]"),
        ("{% for m in messages %}{% continue %}no{% endfor %}", ""),
    ] {
        assert_eq!(render(source).as_deref(), Ok(want), "{source}");
    }
}

#[test]
fn what_a_template_refuses_is_told() {
    for (source, word) in [
        (
            "{{ raise_exception('roles must alternate') }}",
            "roles must alternate",
        ),
        ("{{ messages[0].content.nonsense() }}", "nonsense"),
        ("{{ strftime_now('%d') }}", "strftime_now"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "fuel",
        ),
    ] {
        let e = render(source).unwrap_err();
        assert!(e.contains(word), "{source}: {e}");
    }
    let e = ChatTemplate::new("a\n{% if %}".into(), None, None).unwrap_err();
    assert!(e.contains("line 2"), "{e}");
}

#[test]
fn a_folder_has_a_template_in_one_of_three_places() {
    let dir = tempfile::tempdir().unwrap();
    let open = || ChatTemplate::open(dir.path()).map_err(|e| e.to_string());
    assert!(open().unwrap().is_none(), "no file");
    let config =
        |text: &str| std::fs::write(dir.path().join("tokenizer_config.json"), text).unwrap();
    config(r#"{"eos_token": "E"}"#);
    assert!(open().unwrap().is_none(), "no template");
    config(r#"{"chat_template": "{{ eos_token }}", "eos_token": {"content": "E"}}"#);
    assert_eq!(open().unwrap().unwrap().render(&[]).unwrap(), "E");
    config(
        r#"{"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}], "bos_token": null}"#,
    );
    assert_eq!(open().unwrap().unwrap().render(&[]).unwrap(), "D");
    std::fs::write(dir.path().join("chat_template.jinja"), "J").unwrap();
    assert_eq!(open().unwrap().unwrap().render(&[]).unwrap(), "J");
    std::fs::remove_file(dir.path().join("chat_template.jinja")).unwrap();
    for (text, word) in [
        ("{", "JSON"),
        (r#"{"chat_template": 5}"#, "found 5"),
        (r#"{"chat_template": []}"#, "default"),
        (r#"{"chat_template": "{{"}"#, "chat_template"),
    ] {
        config(text);
        let e = open().unwrap_err();
        assert!(
            e.contains(word) && e.contains("tokenizer_config.json"),
            "{text}: {e}"
        );
    }
}
