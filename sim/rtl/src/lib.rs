//! The verilated RTL and the harness that testbenches are written with.
//!
//! Each entry of `models.toml` is a module here, with the structs [`In`](mm_skid::In) and
//! [`Out`](mm_skid::Out) of its ports, a `Dut` and the marker `Top` that names it in generics.
//! A port of 1 to 64 bits is the smallest unsigned integer that holds it; a wider one is an array of
//! `u32`, lowest bits first.
//!
//! ```
//! use macromac_rtl::{Harness, mm_skid};
//!
//! macromac_rtl::run("one word", |h: &mut Harness<mm_skid::Top>| {
//!     h.reset();
//!     h.dut.i.in_valid_i = 1;
//!     h.dut.i.in_data_i = 42;
//!     h.step(); // the word is taken at this rising edge
//!     h.dut.i.in_valid_i = 0;
//!     h.settle();
//!     h.check_eq("out_valid_o", h.dut.o.out_valid_o, 1);
//!     h.check_eq("out_data_o", h.dut.o.out_data_o, 42);
//! });
//! ```

mod harness;
mod model;
mod pause;
mod stream;

pub use harness::{Harness, run, seed_of};
pub use model::{Abi, Failure, Model, Verilated};
pub use pause::{Pause, Pauser};
pub use stream::{Sink, Source};

include!(concat!(env!("OUT_DIR"), "/models.rs"));
