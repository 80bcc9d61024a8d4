# Times one module by itself, out of context: by default the unit (MACRO_MAC) of a profile. Minutes instead of hours, and no block design.
#
# usage: vivado -mode batch -source vivado/ooc.tcl -tclargs [--OPTION VALUE]...
#   --profile  kv260 | paper                       default kv260
#   --top      module of rtl/filelist.f            default the profile's unit; its clock must be clk_i
#   --params   NAME=VALUE,NAME=VALUE               default the unit's (kv260: Batch=8), none for another --top
#   --clock    MHz                                 default the profile's: 300, 200
#   --effort   default | explore                   default default
#   --until    synth | route                       default route
#   --out      folder                              default target/vivado/ooc-TOP
#
# Only ways between registers count: the ports have no delays. Ends with status 1 when the slack is negative.

set here [file dirname [file normalize [info script]]]
foreach library {common profiles reports gates flow} {
  source [file join $here lib $library.tcl]
}

proc mm::ooc {argv} {
  variable profiles
  variable part
  variable root
  set options [arguments $argv {profile kv260 {kv260 paper}} {top ""} {params ""} {clock ""} {effort default {default explore}} \
    {until route {synth route}} {out ""}]
  set profile [dict get $profiles [dict get $options profile]]
  set top [dict get $options top]
  set generics [split [dict get $options params] ,]
  if {$top eq ""} {
    set top [dict get $profile unit]
    if {[llength $generics] == 0} {
      foreach {name value} [dict get $profile unit_parameters] {
        lappend generics $name=$value
      }
    }
  }
  set clock [dict get $options clock]
  if {$clock eq ""} {
    set clock [dict get $profile clock]
  }
  # Only for its check of the range.
  clock_plan $clock auto
  set files [sources]
  if {[lsearch -glob $files "*/$top.sv"] < 0} {
    fail "--top with a module of rtl/filelist.f" "'$top'" "for example --top mm_group_mac"
  }
  set out [dict get $options out]
  if {$out eq ""} {
    set out [file join $root target vivado ooc-$top]
  }
  dict set options out [file normalize $out]
  set out [dict get $options out]
  file mkdir $out/reports
  set channel [open [file_of constraints ooc.xdc]]
  set text [read $channel]
  close $channel
  write_file $out/ooc.xdc [string map [list PERIOD_NS [format %.4f [expr {1000.0 / $clock}]]] $text]

  create_project -in_memory -part $part
  read_verilog -sv $files
  read_xdc -mode out_of_context $out/ooc.xdc
  set generic_options {}
  foreach generic $generics {
    lappend generic_options -generic $generic
  }
  synth_design -top $top -part $part -mode out_of_context -verilog_define SYNTHESIS {*}$generic_options
  stage $out synth
  set step synth
  if {[dict get $options until] eq "route"} {
    implement $options
    set step route
  }
  variable report
  set timing [parse_timing $report($step,timing)]
  set wns [dict get $timing wns]
  # What the worst way would allow.
  set fmax [expr {1000.0 / (1000.0 / $clock - $wns)}]
  say "$top [join $generics]: WNS $wns ns at $clock MHz after $step, that is [format %.1f $fmax] MHz; reports in $out/reports"
  if {$wns < 0 || [dict get $timing tns_total] == 0} {
    fail "a slack of 0 ns or more, on at least one way" "$wns ns, [dict get $timing tns_total] endpoints" \
      "$out/reports/${step}_timing.rpt has the worst ways; docs/vivado.md, \"When a gate fails\""
  }
}

if {[catch {mm::ooc $argv} message]} {
  puts stderr "ERROR: $message"
  exit 1
}
