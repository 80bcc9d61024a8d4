# What a build must have to count as built. Each gate gives a list of failures in words.

namespace eval mm {
  # Checks of check_timing that must find nothing. The rest speak of ports: the one port of this design has no clock.
  variable must_be_zero {no_clock constant_clock pulse_width_clock unconstrained_internal_endpoints multiple_clock generated_clocks
    loops partial_input_delay partial_output_delay latch_loops}
  # Severities of DRC and methodology that fail.
  variable fatal {{Critical Warning} Error Fatal}
  # Rules that fail at any severity: way too slow (15, 16), sequential cell without clock (17, 20), combinational loop (23).
  variable fatal_rules {TIMING-15 TIMING-16 TIMING-17 TIMING-20 TIMING-23 LUTLP-1}
  # Rules of a fatal severity that are allowed, each with its reason. None is known.
  variable allowed {}
}

# The netlist: nothing missing, no latch, memories and DSPs are what they should be.
proc mm::structure_failures {profile} {
  set failures {}
  set holes [get_cells -quiet -hierarchical -filter {IS_BLACKBOX == 1}]
  if {[llength $holes] > 0} {
    lappend failures "black boxes: [lrange $holes 0 4]"
  }
  set latches [get_cells -quiet -hierarchical -filter {REF_NAME == LDCE || REF_NAME == LDPE}]
  if {[llength $latches] > 0} {
    lappend failures "latches: [lrange $latches 0 4]"
  }
  set found [dict create \
    dsp [llength [get_cells -quiet -hierarchical -filter {REF_NAME == DSP48E2}]] \
    uram [llength [get_cells -quiet -hierarchical -filter {REF_NAME == URAM288}]] \
    bram36 [expr {[llength [get_cells -quiet -hierarchical -filter {REF_NAME == RAMB36E2}]] \
      + [llength [get_cells -quiet -hierarchical -filter {REF_NAME == RAMB18E2}]] / 2.0}]]
  dict for {kind least} [dict get $profile least] {
    if {[dict get $found $kind] < $least} {
      lappend failures "$kind: [dict get $found $kind], at least $least expected: something became registers or LUTs"
    }
  }
  return [concat $failures [check_timing_failures synth]]
}

proc mm::check_timing_failures {step} {
  variable report
  variable must_be_zero
  set failures {}
  set found [parse_check_timing $report($step,check_timing)]
  foreach check $must_be_zero {
    if {![dict exists $found $check]} {
      unreadable check_timing
    }
    if {[dict get $found $check] != 0} {
      lappend failures "check_timing after $step: $check finds [dict get $found $check]"
    }
  }
  return $failures
}

# The cell that is mm_top in the mapped netlist.
proc mm::accelerator {} {
  set cells [get_cells -quiet -hierarchical -filter {REF_NAME == mm_top || ORIG_REF_NAME == mm_top}]
  if {[llength $cells] != 1} {
    fail "one cell mm_top in the netlist" "[llength $cells]" "was it dissolved? look at the synthesis log"
  }
  return [lindex $cells 0]
}

# One clock at mm_top, with the period asked for: otherwise slack says nothing.
proc mm::clock_failures {plan} {
  set clocks [get_clocks -quiet -of_objects [get_pins [accelerator]/aclk]]
  if {[llength $clocks] != 1} {
    return [list "[llength $clocks] clocks at mm_top's aclk, one expected"]
  }
  set period [get_property PERIOD $clocks]
  set wanted [expr {1000.0 / [dict get $plan actual]}]
  if {abs($period - $wanted) > 0.001 * $wanted} {
    return [list "period of $clocks is $period ns, [format %.3f $wanted] expected"]
  }
  return {}
}

proc mm::rule_failures {rules what} {
  variable fatal
  variable fatal_rules
  variable allowed
  set failures {}
  foreach rule $rules {
    lassign $rule name severity description count
    if {[lsearch -exact -index 0 $allowed $name] >= 0} continue
    if {$severity in $fatal || $name in $fatal_rules} {
      lappend failures "$what: $name ($severity), $count times: $description"
    }
  }
  return $failures
}

proc mm::routed_failures {} {
  variable report
  set failures [check_timing_failures route]
  set timing [parse_timing $report(route,timing)]
  foreach {slack failing what} {wns tns_failing setup whs ths_failing hold wpws tpws_failing {pulse width}} {
    if {[dict get $timing $slack] < 0 || [dict get $timing $failing] != 0} {
      lappend failures "timing: $what slack [dict get $timing $slack] ns, [dict get $timing $failing] endpoints fail"
    }
  }
  if {[dict get $timing tns_total] == 0} {
    lappend failures "timing: no endpoint was analyzed"
  }
  lassign [parse_route $report(route,route)] routable routed errors
  if {$errors != 0 || $routed != $routable || $routable == 0} {
    lappend failures "route: $routed of $routable nets, $errors with errors"
  }
  foreach row [parse_cdc $report(route,cdc)] {
    lassign $row severity from to endpoints unsafe unknown
    if {$severity eq "Critical" || $unsafe > 0 || $unknown > 0} {
      lappend failures "cdc: $severity from $from to $to, $endpoints endpoints, $unsafe unsafe, $unknown unknown: one clock was meant to be"
    }
  }
  return [concat $failures [rule_failures [parse_rules $report(route,drc) report_drc] drc] \
    [rule_failures [parse_rules $report(route,methodology) report_methodology] methodology]]
}
