# Reports of each step, kept as files and as text, and what stands in them. Every parser fails when the report does not look as
# expected: a gate that cannot read is a gate that is shut.

namespace eval mm {
  # report(STEP,KIND): text.
  variable report
  array set report {}
  variable kinds {
    timing {report_timing_summary -return_string -max_paths 10 -report_unconstrained}
    check_timing {check_timing -return_string -verbose}
    utilization {report_utilization -return_string}
    hierarchy {report_utilization -return_string -hierarchical}
    cdc {report_cdc -return_string -details}
    clock_interaction {report_clock_interaction -return_string}
    methodology {report_methodology -return_string}
    drc {report_drc -return_string}
    power {report_power -return_string}
  }
}

# Checkpoint and reports of a step: OUT/STEP.dcp, OUT/reports/STEP_KIND.rpt.
proc mm::stage {out step} {
  variable report
  variable kinds
  say "$step done, reports"
  write_checkpoint -force $out/$step.dcp
  dict for {kind command} $kinds {
    set report($step,$kind) [{*}$command]
    write_file $out/reports/${step}_$kind.rpt $report($step,$kind)
  }
  if {$step eq "route"} {
    set report($step,route) [report_route_status -return_string]
    write_file $out/reports/${step}_status.rpt $report($step,route)
  }
}

proc mm::unreadable {what} {
  fail "a report of $what in the layout of Vivado 2022.1 to 2024.2" "another layout" "adapt vivado/lib/reports.tcl to this version"
}

# Cells of the rows of a table drawn with | whose header row holds these columns: a list of dictionaries by column.
proc mm::table {text columns} {
  set rows {}
  set header {}
  foreach line [split $text "\n"] {
    if {![string match "|*" [string trim $line]]} {
      if {[llength $header] > 0 && [string trim $line] eq ""} break
      continue
    }
    # Only the first cell keeps its indent: it is the depth in a hierarchy.
    set cells [lrange [split [string trimright $line " \r"] |] 1 end-1]
    set names {}
    foreach cell $cells {
      lappend names [string trim $cell]
    }
    if {[llength $header] == 0} {
      set header $names
      foreach column $columns {
        if {$column ni $names} {
          set header {}
        }
      }
      continue
    }
    set first [string trimright [lindex $cells 0]]
    set row [dict create indent [expr {[string length $first] - [string length [string trimleft $first]]}]]
    foreach name $header value $names {
      dict set row $name [regsub -all {(\d),(?=\d)} $value {\1}]
    }
    lappend rows $row
  }
  return $rows
}

# wns, tns, tns_failing, ..., in ns and endpoints, of report_timing_summary.
proc mm::parse_timing {text} {
  set names {wns tns tns_failing tns_total whs ths ths_failing ths_total wpws tpws tpws_failing tpws_total}
  set number {(-?\d+(?:\.\d+)?)}
  if {![regexp "WNS\\(ns\\)\\s+TNS\\(ns\\)\[^\n\]*\n\[ -\]*\n\\s*[join [lrepeat 12 $number] {\s+}]\\s*\n" $text -> {*}$names]} {
    unreadable report_timing_summary
  }
  set values [dict create]
  foreach name $names {
    dict set values $name [set $name]
  }
  return $values
}

# Number of findings of each check of check_timing.
proc mm::parse_check_timing {text} {
  set found [dict create]
  foreach {- name count} [regexp -all -inline {checking (\w+) \((\d+)\)} $text] {
    dict set found $name $count
  }
  if {![dict exists $found no_clock]} {
    unreadable check_timing
  }
  return $found
}

# {RULE SEVERITY DESCRIPTION COUNT} of report_drc or report_methodology; their sum must be the sum that the report states.
proc mm::parse_rules {text what} {
  if {![regexp {(Violations|Checks) found:\s*(\d+)} $text -> column total]} {
    unreadable $what
  }
  set rules {}
  set sum 0
  foreach row [table $text [list Rule Severity Description $column]] {
    lappend rules [list [dict get $row Rule] [dict get $row Severity] [dict get $row Description] [dict get $row $column]]
    incr sum [dict get $row $column]
  }
  if {$sum != $total} {
    unreadable $what
  }
  return $rules
}

# {SEVERITY FROM TO ENDPOINTS UNSAFE UNKNOWN} of report_cdc.
proc mm::parse_cdc {text} {
  if {![regexp {CDC Report} $text]} {
    unreadable report_cdc
  }
  set rows {}
  foreach line [split $text "\n"] {
    if {[regexp {^(Critical|Warning|Info)\s+(\S+)\s+(\S+)\s.*?\s(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*$} $line \
        -> severity from to endpoints safe unsafe unknown -]} {
      lappend rows [list $severity $from $to $endpoints $unsafe $unknown]
    }
  }
  return $rows
}

# {ROUTABLE ROUTED ERRORS} of report_route_status.
proc mm::parse_route {text} {
  set counts {}
  foreach name {{routable nets} {fully routed nets} {nets with routing errors}} {
    if {![regexp "# of $name\[. \]*:\\s*(\\d+)\\s*:" $text -> count]} {
      unreadable report_route_status
    }
    lappend counts $count
  }
  return $counts
}

# Rows of report_utilization -hierarchical: indent, instance, module and resources.
proc mm::parse_hierarchy {text} {
  set rows {}
  foreach row [table $text {Instance Module {Total LUTs} FFs RAMB36 RAMB18 URAM {DSP Blocks}}] {
    lappend rows [dict create indent [dict get $row indent] instance [dict get $row Instance] module [module_name [dict get $row Module]] \
      lut [dict get $row {Total LUTs}] ff [dict get $row FFs] dsp [dict get $row {DSP Blocks}] uram [dict get $row URAM] \
      bram36 [expr {[dict get $row RAMB36] + [dict get $row RAMB18] / 2.0}]]
  }
  if {[llength $rows] == 0} {
    unreadable "report_utilization -hierarchical"
  }
  return $rows
}

# As in the RTL: synthesis numbers copies and parameter sets.
proc mm::module_name {name} {
  return [regsub {(__parameterized\d+)?(__?xdcDup__\d+)?(_\d+)?$} $name ""]
}
