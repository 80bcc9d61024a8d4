# Builds the bitstream of a profile: block design, synthesis, placement, routing, reports, gates. docs/vivado.md explains it.
#
# usage: vivado -mode batch -source vivado/build.tcl -tclargs [--OPTION VALUE]...
#   --profile  kv260 | paper                       default kv260
#   --clock    MHz                                 default the profile's: 300, 200
#   --pl-clock auto | direct | mmcm                default auto: pl_clk0 itself where it can have that rate, else an MMCM
#   --ports    hp | spread                         default hp: weights on HP0..HP3, data on HPC0
#   --links    smartconnect | direct               default smartconnect: what stands between mm_top and the ports
#   --effort   default | explore                   default default: directives of place and route
#   --until    design | synth | route | bit        default bit: where to stop
#   --out      folder                              default target/vivado/PROFILE
#
# Ends with status 1 when a gate fails; summary.json is written all the same, with the failures in it.

set here [file dirname [file normalize [info script]]]
foreach library {common profiles design reports gates summary flow} {
  source [file join $here lib $library.tcl]
}

if {[catch {mm::build $argv} message]} {
  puts stderr "ERROR: $message"
  exit 1
}
