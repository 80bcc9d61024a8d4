# What the stub answers outside of the block design: files, clocks, cells, reports in the vendor's layout. --answers plants faults:
#   wns, whs, wpws     slack in ns           unrouted   nets left            no_clock, loops, ...  findings of check_timing
#   drc, methodology   RULE:Severity         cdc        Critical             latch, hole           cells of that kind
#   dsp, uram, ramb36  cells found           period     ns at mm_top's aclk  board, ddr_high       no
#   layout             other: no report can be read          bootgen  a path: it is there and works

proc stub::do_get_board_parts {options words} {
  return [expr {[answer board yes] eq "no" ? "" : "xilinx.com:kv260_som:part0:1.4"}]
}

# So that no figure of the stub passes for a measured one.
proc stub::do_version {options words} { return "stub (no Vivado)" }
proc stub::do_current_project {options words} { return project }
proc stub::do_current_fileset {options words} { return sources_1 }
proc stub::do_current_design {options words} { return design }

proc stub::do_add_files {options words} {
  variable files
  foreach file [lindex $words 0] {
    if {![file exists $file] && ![string match */macromac_bd_wrapper.v $file]} { refuse "no file $file" }
    lappend files $file
  }
}

proc stub::do_read_verilog {options words} {
  return [do_add_files $options $words]
}

proc stub::do_read_xdc {options words} {
  if {![file exists [lindex $words 0]]} { refuse "no file $words" }
}

proc stub::do_get_files {options words} { return $words }
proc stub::do_make_wrapper {options words} { return macromac.gen/hdl/macromac_bd_wrapper.v }

proc stub::do_synth_design {options words} {
  variable files
  set top [dict get $options -top]
  if {[lsearch -glob $files "*/$top.*v"] < 0} { refuse "synth_design: no module $top among the sources" }
}

proc stub::do_write_bitstream {options words} {
  set channel [open [lindex $words 0] w]
  puts $channel "stub"
  close $channel
}

proc stub::do_write_cfgmem {options words} {
  set channel [open [lindex $words 0] w]
  puts -nonewline $channel [string repeat x [answer binary 2000000]]
  close $channel
}

# Rate in MHz that a property of the processing system or a mapped segment has.
proc stub::do_get_property {options words} {
  lassign $words name object
  variable cells
  switch -glob $name {
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ {
      set iopll [answer iopll 1499.985]
      return [format %.6f [expr {$iopll / round($iopll / [setting $object PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 100])}]]
    }
    CONFIG.FREQ_HZ { return [expr {round(1e9 / [clock_period])}] }
    OFFSET { return [lindex $object 2] }
    RANGE { return [lindex $object 3] }
    PERIOD { return [answer period [clock_period]] }
    LOGIC_LEVELS { return 7 }
    SLACK { return [answer wns 0.051] }
    STARTPOINT_PIN - ENDPOINT_PIN { return "u_mm/inst/u_top/u_core/[string range $name 0 3]_reg/C" }
  }
  refuse "get_property $name of $object: nobody looked it up"
}

# The period at mm_top as the block design makes it.
proc stub::clock_period {} {
  variable driver_of
  set source $driver_of(u_mm/aclk)
  set rate [do_get_property {} {CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ ps}]
  if {$source eq "mmcm/clk_out1"} {
    set rate [expr {$rate * [setting mmcm CLKOUT1_REQUESTED_OUT_FREQ 100] / [setting mmcm PRIM_IN_FREQ 100]}]
  }
  return [format %.3f [expr {1000.0 / $rate}]]
}

proc stub::some {count name} {
  set names {}
  for {set i 0} {$i < $count} {incr i} { lappend names $name$i }
  return $names
}

proc stub::do_get_cells {options words} {
  set filter [lindex [dict get $options -filter] 0]
  switch -glob $filter {
    "IS_BLACKBOX == 1" { return [some [answer hole 0] hole] }
    "REF_NAME == LD*" { return [some [answer latch 0] latch] }
    "REF_NAME == DSP48E2" { return [some [answer dsp 531] dsp] }
    "REF_NAME == URAM288" { return [some [answer uram 44] uram] }
    "REF_NAME == RAMB36E2" { return [some [answer ramb36 68] bram] }
    "REF_NAME == RAMB18E2" { return "" }
    "REF_NAME == CARRY8 *" { return [some 5 carry] }
    "REF_NAME == mm_top *" { return [some [answer top 1] macromac_bd_i/u_mm/inst/u_top] }
  }
  refuse "get_cells -filter {$filter}: no answer is prepared"
}

proc stub::do_get_pins {options words} { return $words }
proc stub::do_get_clocks {options words} { return [some [answer clocks 1] clk_pl_] }
proc stub::do_get_timing_paths {options words} { return [some 3 path] }

proc stub::layout {text} {
  return [expr {[answer layout ""] eq "other" ? "Report of another kind" : $text}]
}

proc stub::do_report_timing_summary {options words} {
  set row {}
  foreach {slack default} {wns 0.051 whs 0.012 wpws 0.9} {
    set value [answer $slack $default]
    lappend row $value [expr {$value < 0 ? 10 * $value : 0.0}] [expr {$value < 0 ? 17 : 0}] [answer endpoints 200000]
  }
  return [layout "------\n| Design Timing Summary\n------\n\n    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)\
      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints\
      \n    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -----\
      --------------     --------     --------  ----------------------  --------------------\n      [join $row {    }]\n\n\n"]
}

proc stub::do_check_timing {options words} {
  set text "check_timing report\n\nTable of Contents\n-----------------\n"
  set number 0
  foreach check {no_clock constant_clock pulse_width_clock unconstrained_internal_endpoints no_input_delay no_output_delay multiple_clock
      generated_clocks loops partial_input_delay partial_output_delay latch_loops} {
    append text "[incr number]. checking $check ([answer $check [expr {$check eq "no_output_delay"}]])\n"
  }
  return [layout $text]
}

proc stub::do_report_utilization {options words} {
  if {![dict exists $options -hierarchical]} { return "| CLB LUTs | 41000 | 0 | 0 | 117120 | 35.01 |\n" }
  set rows {
    {macromac_bd_wrapper (top) 41000 60000 68 4 44 532} {{  (macromac_bd_wrapper)} (top) 0 0 0 0 0 0}
    {{  macromac_bd_i} macromac_bd 41,000 60000 68 4 44 532} {{    u_mm} macromac_bd_u_mm_0 39000 56000 64 4 44 531}
    {{      inst} mm_top_bd 39000 56000 64 4 44 531} {{        u_top} mm_top 39000 56000 64 4 44 531}
    {{          u_core} mm_core__parameterized0 39000 56000 64 4 44 531} {{            (u_core)} mm_core__parameterized0 100 50 0 0 0 0}
    {{            u_a} mm_fifo__parameterized0_12 30 40 0 1 0 0} {{            u_b} mm_fifo 20 30 0 1 0 0}
  }
  set text "+---+\n| Instance | Module | Total LUTs | Logic LUTs | LUTRAMs | SRLs | FFs | RAMB36 | RAMB18 | URAM | DSP Blocks |\n+---+\n"
  foreach row $rows {
    lassign $row instance module lut ff ramb36 ramb18 uram dsp
    append text "| $instance | $module | $lut | $lut | 0 | 0 | $ff | $ramb36 | $ramb18 | $uram | $dsp |\n"
  }
  return [layout "$text+---+\n"]
}

# A report of rules with one harmless warning and, if asked for, RULE:Severity.
proc stub::rules {name column} {
  set rules {{DPIP-2 Warning {Input pipelining} 3}}
  set planted [answer $name ""]
  if {$planted ne ""} { lappend rules [list {*}[split $planted :] planted 2] }
  set text "Report\n1. REPORT SUMMARY\n             $column found: [expr {$planted eq "" ? 3 : 5}]\n"
  append text "+---+---+\n| Rule | Severity | Description | $column |\n+---+---+\n"
  foreach rule $rules { append text "| [join $rule { | }] |\n" }
  return [layout "$text+---+---+\n\n2. REPORT DETAILS\n"]
}

proc stub::do_report_drc {options words} { return [rules drc Violations] }
proc stub::do_report_methodology {options words} { return [rules methodology Checks] }

proc stub::do_report_cdc {options words} {
  set text "CDC Report\n\nSeverity  Source Clock  Destination Clock  CDC Type                 Exceptions  Endpoints  Safe  Unsafe  Unknown"
  append text "  No ASYNC_REG\n"
  append text "--------  ------------  -----------------  -----------------------  ----------  ---------  ----  ------  -------  ------------\n"
  append text "Info      input port clock  clk_pl_0       No Input Clock           None                1     1       0        0             0\n"
  if {[answer cdc ""] ne ""} {
    append text "[answer cdc ""]  clk_pl_0  clk_pl_1  No Common Primary Clock  None  12  4  8  0  8\n"
  }
  return [layout $text]
}

proc stub::do_report_route_status {options words} {
  set left [answer unrouted 0]
  set text "Design Route Status\n"
  foreach {what count} [list {# of logical nets} 100000 {    # of routable nets} 90000 {        # of fully routed nets} [expr {90000 - $left}] \
      {    # of nets with routing errors} $left] {
    append text "   $what.......... :      $count :\n"
  }
  return [layout $text]
}
