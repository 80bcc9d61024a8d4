# summary.json: the figures of a build under the names that docs/results/synth.json uses for the estimate, so that
# scripts/vivado-compare can put them side by side.

namespace eval mm {
  variable columns {lut ff dsp bram36 uram}
}

# Modules of ours, without what is below them, as the estimate counts: {module instances lut ...} dictionaries.
proc mm::own_modules {rows} {
  variable columns
  set sums [dict create]
  for {set i 0} {$i < [llength $rows]} {incr i} {
    set row [lindex $rows $i]
    set name [dict get $row module]
    # A row in brackets is an instance's own part; an instance without one below it has no parts.
    if {![string match mm_* $name] || [string match "(*" [dict get $row instance]]} continue
    set below [lindex $rows [expr {$i + 1}]]
    set own $row
    if {$below ne "" && [dict get $below indent] > [dict get $row indent]} {
      if {[dict get $below instance] eq "([dict get $row instance])"} {
        set own $below
      } else {
        set own [dict create lut 0 ff 0 dsp 0 bram36 0 uram 0]
      }
    }
    if {![dict exists $sums $name]} {
      dict set sums $name [dict create module $name instances 0 lut 0 ff 0 dsp 0 bram36 0 uram 0]
    }
    dict set sums $name instances [expr {[dict get $sums $name instances] + 1}]
    foreach column $columns {
      dict set sums $name $column [expr {[dict get $sums $name $column] + [dict get $own $column]}]
    }
  }
  return [lsort -decreasing -integer -command {apply {{a b} {expr {[dict get $a lut] - [dict get $b lut]}}}} [dict values $sums]]
}

proc mm::json_counts {row} {
  variable columns
  set pairs {}
  foreach column $columns {
    lappend pairs $column [dict get $row $column]
  }
  return $pairs
}

# The worst ways by slack: as the estimate's, with slack besides.
proc mm::json_paths {} {
  set rows {}
  set depth 0
  foreach path [get_timing_paths -quiet -setup -max_paths 8 -nworst 1] {
    set levels [get_property LOGIC_LEVELS $path]
    set depth [expr {max($depth, $levels)}]
    lappend rows [json_row [list levels $levels slack_ns [get_property SLACK $path] \
      from [json_string [get_property STARTPOINT_PIN $path]] to [json_string [get_property ENDPOINT_PIN $path]]]]
  }
  return [list $depth "{\"worst\": [json_list $rows]}"]
}

proc mm::write_summary {options plan profile failures seconds} {
  variable report
  variable part
  variable k26
  set step [expr {[info exists report(route,hierarchy)] ? "route" : "synth"}]
  set rows [parse_hierarchy $report($step,hierarchy)]
  set top ""
  foreach row $rows {
    if {[dict get $row module] eq "mm_top" && ![string match "(*" [dict get $row instance]]} {
      set top $row
      break
    }
  }
  if {$top eq ""} {
    fail "a row of mm_top in the hierarchy" "none" "was it dissolved? look at the synthesis log"
  }
  set timing [parse_timing $report($step,timing)]
  lassign [json_paths] depth paths
  set parameters [dict get $profile parameters]
  set settings {}
  dict for {name value} $parameters {
    lappend settings [json_string $name=$value]
  }
  set modules {}
  foreach row [own_modules $rows] {
    lappend modules [json_row [list module [json_string [dict get $row module]] instances [dict get $row instances] {*}[json_counts $row]]]
  }
  set texts {}
  foreach failure $failures {
    lappend texts [json_string $failure]
  }
  set shares {}
  dict for {kind all} $k26 {
    lappend shares $kind [expr {double([dict get $top $kind]) / $all}]
  }
  set pairs [list what [json_string "vivado/build.tcl: mm_top on the K26"] top [json_string mm_top] \
    profile [json_string [dict get $options profile]] \
    params [json_list $settings] \
    figure [json_string vivado] tool [json_string "Vivado [version -short]"] part [json_string $part] family [json_string xcup] \
    step [json_string $step]]
  lappend pairs {*}[json_counts $top] carry [llength [get_cells -quiet -hierarchical -filter "REF_NAME == CARRY8 && NAME =~ [accelerator]/*"]]
  lappend pairs shares [json_row $shares] batch [dict get $parameters Batch] \
    fifo_kib [expr {4 * [dict get $parameters FifoStrips] * 16 / 1024}] config_hash [json_string [config_hash $parameters]] \
    clock_mhz [dict get $options clock] clock_actual_mhz [format %.6f [dict get $plan actual]] \
    clock_source [json_string [dict get $plan source]] pl_clk0_mhz [dict get $plan pl0] \
    clock_mult [dict get $plan mult] clock_div [dict get $plan div]
  foreach name {wns tns whs ths wpws} {
    lappend pairs ${name}_ns [dict get $timing $name]
  }
  lappend pairs depth $depth paths $paths ports [json_string [dict get $options ports]] links [json_string [dict get $options links]] \
    effort [json_string [dict get $options effort]] \
    design [json_row [json_counts [lindex $rows 0]]] \
    modules [json_list $modules] failures [json_list $texts] wall_s $seconds
  write_file [dict get $options out]/summary.json "[json_object $pairs]\n"
  say "$step: WNS [dict get $timing wns] ns at [dict get $options clock] MHz; [dict get $options out]/summary.json"
}
