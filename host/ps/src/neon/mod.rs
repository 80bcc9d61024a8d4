//! NEON forms of the kernels: the same order as the portable ones, arranged for a Cortex-A53.
//!
//! That core issues two instructions a cycle in order, one of them a NEON operation, and a fused multiply-add
//! answers after eight cycles. So every loop here has at least eight sums or chains in flight, and long
//! expressions are written for four vectors at a time, step by step; the compiler's scheduler does the rest.
//! What each loop costs is in the table of [`crate::time`], which counts instructions by name: where
//! a loop changes, `make ps-table` derives the table again.
//!
//! The functions that the table names are never inlined, so that their loops can be found in the assembly.

pub mod attention;
pub mod cache;
pub mod head;
pub mod intrinsics;
pub mod math;
pub mod vector;
