// The one list of RTL sources: read by sim/rtl/build.rs (Verilator), scripts/synth (yosys) and Vivado.
// Paths are relative to rtl/. Packages first, then modules; one module a file, named like the file.
stream/mm_skid.sv
stream/mm_fifo.sv
