//! Prints what the PS costs: whole tokens, and the cross-check with the paper's Table I.

fn main() {
    print!("{}", macromac_ps::time::report::text());
}
