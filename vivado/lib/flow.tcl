# The build from arguments to bitstream, step by step. A project on disk holds sources and block design, because a module reference
# needs one; synthesis and implementation run here, in this process, in order, with nothing between them that a run would hide.

namespace eval mm {
  # Directives of --effort. Names of UG904.
  variable directives {
    default {opt Default place Default phys Default route Default}
    explore {opt Explore place Explore phys AggressiveExplore route AggressiveExplore}
  }
  # Messages that end the build where they come: a latch, two drivers of one net (two numbers), an exception that names nothing.
  variable deadly {{Synth 8-327} {Synth 8-3352} {Synth 8-6859} {Vivado 12-4739}}
  variable stages {design synth route bit}
}

proc mm::parse {argv} {
  variable profiles
  variable stages
  variable root
  set options [arguments $argv {profile kv260 {kv260 paper}} {clock ""} {pl-clock auto {auto direct mmcm}} {ports hp {hp spread}} \
    {links smartconnect {smartconnect direct}} {effort default {default explore}} [list until bit $stages] {out ""}]
  set profile [dict get $profiles [dict get $options profile]]
  if {[dict get $options clock] eq ""} {
    dict set options clock [dict get $profile clock]
  }
  if {[dict get $options out] eq ""} {
    dict set options out [file join $root target vivado [dict get $options profile]]
  }
  dict set options out [file normalize [dict get $options out]]
  return $options
}

proc mm::open_project {out} {
  variable part
  file mkdir $out/reports
  # Nothing of an older build may pass for this one's.
  file delete -force $out/summary.json $out/macromac.bit $out/macromac.bit.bin
  create_project -force -part $part macromac $out/project
  set boards [get_board_parts -quiet -latest_file_version "*:kv260_som:*"]
  if {[llength $boards] == 0} {
    fail "the board files of the KV260 (kv260_som)" "none" "install them: Vivado's Tools, Vivado Store, Boards, Kria KV260"
  }
  set_property board_part [lindex $boards end] [current_project]
  set_property target_language Verilog [current_project]
  add_files -norecurse [concat [sources] [list [file_of vivado mm_top_bd.v]]]
  # mm_dsp_mac2 is an instance of DSP48E2 under this name, and the assertions are not there.
  set_property verilog_define SYNTHESIS [current_fileset]
  add_files -fileset constrs_1 -norecurse [file_of constraints kv260.xdc]
  update_compile_order -fileset sources_1
}

proc mm::make_top {file} {
  variable bd
  # The IP is synthesized with everything else, so that one synth_design sees the whole.
  set_property synth_checkpoint_mode None $file
  generate_target all $file
  add_files -norecurse [make_wrapper -files $file -top]
  set_property top ${bd}_wrapper [current_fileset]
  update_compile_order -fileset sources_1
}

proc mm::directive {options step} {
  variable directives
  return [dict get $directives [dict get $options effort] $step]
}

# The steps after synthesis; each ends with a checkpoint and its reports.
proc mm::implement {options} {
  set out [dict get $options out]
  opt_design -directive [directive $options opt]
  stage $out opt
  place_design -directive [directive $options place]
  stage $out place
  phys_opt_design -directive [directive $options phys]
  stage $out phys_opt
  route_design -directive [directive $options route]
  if {[dict get [parse_timing [report_timing_summary -return_string]] wns] < 0} {
    phys_opt_design -directive [directive $options phys]
  }
  stage $out route
}

proc mm::bitstream {out} {
  write_bitstream -force $out/macromac.bit
  file copy -force [file_of vivado macromac.bif] $out/macromac.bif
  set binary $out/macromac.bit.bin
  file delete -force $binary
  if {[auto_execok bootgen] ne ""} {
    set before [pwd]
    cd $out
    set failed [catch {exec bootgen -image macromac.bif -arch zynqmp -process_bitstream bin -w on >@stdout 2>@1} message]
    cd $before
    if {$failed} {
      fail "bootgen to write $binary" $message "run it by hand in $out"
    }
  } else {
    say "no bootgen on the PATH; write_cfgmem makes the same file"
    write_cfgmem -force -format bin -interface SMAPx32 -disablebitswap -loadbit "up 0x0 $out/macromac.bit" $binary
  }
  if {![file exists $binary] || [file size $binary] < 1000000} {
    fail "$binary of some megabytes" [expr {[file exists $binary] ? "[file size $binary] bytes" : "no such file"}] \
      "look at the messages of bootgen above"
  }
}

proc mm::build {argv} {
  variable profiles
  variable part
  variable deadly
  variable bd
  set begun [clock seconds]
  set options [parse $argv]
  set out [dict get $options out]
  set until [dict get $options until]
  set profile [dict get $profiles [dict get $options profile]]
  set plan [clock_plan [dict get $options clock] [dict get $options pl-clock]]
  if {![regexp {^20(22|23|24)\.[12]} [version -short]]} {
    say "this is Vivado [version -short]; these scripts were written for 2022.1 to 2024.2"
  }
  say "profile [dict get $options profile], [dict get $options clock] MHz ([dict get $plan source]), into $out"
  foreach id $deadly {
    set_msg_config -id $id -new_severity ERROR
  }
  open_project $out
  set file [block_design $options $plan [dict get $profile parameters]]
  make_top $file
  if {$until eq "design"} return

  synth_design -top ${bd}_wrapper -part $part -verilog_define SYNTHESIS
  stage $out synth
  set failures [concat [structure_failures $profile] [clock_failures $plan]]
  if {$until ne "synth"} {
    # A netlist with a hole in it is not worth routing.
    if {[llength $failures] == 0} {
      implement $options
      set failures [concat [clock_failures $plan] [routed_failures]]
    }
  }
  write_summary $options $plan $profile $failures [expr {[clock seconds] - $begun}]
  if {[llength $failures] > 0} {
    fail "a design that passes every gate" "[llength $failures] failures:\n  [join $failures "\n  "]\n" \
      "the reports in $out/reports; docs/vivado.md, \"When a gate fails\""
  }
  if {$until eq "bit"} {
    bitstream $out
    say "next: vivado/package-app --build $out"
  }
}
