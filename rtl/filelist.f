// The one list of RTL sources: read by sim/rtl/build.rs (Verilator), scripts/synth (yosys) and Vivado.
// Paths are relative to rtl/. Packages first, then modules; one module a file, named like the file.
regs/mm_regs_pkg.sv
regs/mm_regs.sv
stream/mm_skid.sv
stream/mm_fifo.sv
fp/mm_fp16_to_fp32.sv
fp/mm_fp32_round_mul.sv
fp/mm_fp32_mul.sv
fp/mm_fp32_mul_int.sv
fp/mm_fp32_add.sv
mac/mm_unpacker.sv
mac/mm_pe.sv
mac/mm_pe_array.sv
mac/mm_adder_tree.sv
mac/mm_window_lane.sv
mac/mm_window_acc.sv
mac/mm_macro_mac.sv
