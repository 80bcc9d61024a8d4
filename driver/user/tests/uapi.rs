//! `src/linux/uapi.rs` is what bindgen makes of the kernel module's header. It is committed, so that no build needs
//! libclang; this test fails when it is stale, and `MACROMAC_BLESS=1 cargo test -p macromac-driver --test uapi` writes it.
#![cfg(all(target_os = "linux", not(target_arch = "aarch64")))]

use std::path::Path;

#[test]
fn bindings_are_those_of_the_header() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = bindgen::Builder::default()
        .header(home.join("tests/uapi.h").display().to_string())
        .allowlist_item("(macromac|MACROMAC)_.*")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .layout_tests(true)
        .generate_comments(false)
        .raw_line("// Generated from driver/kernel/include/uapi/macromac.h by bindgen; do not edit (tests/uapi.rs says how).")
        .disable_header_comment()
        .generate()
        .expect("bindgen reads the header")
        .to_string();
    let path = home.join("src/linux/uapi.rs");
    if std::env::var_os("MACROMAC_BLESS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "src/linux/uapi.rs is stale: run MACROMAC_BLESS=1 cargo test -p macromac-driver --test uapi"
    );
}
