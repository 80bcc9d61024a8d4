# The stub's model of a block design: cells with pins and buses, what is connected with what, and the address map.

namespace eval stub {
  # cells(NAME): kind (IP's name, or the module). config(CELL): dictionary. nets: list of {driver sinks...}. links(BUS): the bus it meets.
  variable cells
  array set cells {}
  variable config
  array set config {}
  variable driver_of
  array set driver_of {}
  variable links
  array set links {}
  variable ports {}
  variable mapped {}
  variable excluded {}
  variable files {}
  variable module {}
  variable validated 0
  variable project {}
  # Bus clocks of the processing system's ports.
  variable gp {HPC0 0 HPC1 1 HP0 2 HP1 3 HP2 4 HP3 5}
}

proc stub::setting {cell name default} {
  variable config
  return [expr {[dict exists $config($cell) $name] ? [dict get $config($cell) $name] : $default}]
}

# Pins of a cell: NAME {direction width kind}; kind is clk, rst, or empty.
proc stub::pins {cell} {
  variable cells
  variable gp
  variable module
  switch $cells($cell) {
    zynq_ultra_ps_e {
      set pins {pl_resetn0 {out 1 rst}}
      if {[setting $cell PSU__FPGA_PL0_ENABLE 1]} { dict set pins pl_clk0 {out 1 clk} }
      if {[setting $cell PSU__FPGA_PL1_ENABLE 0]} { dict set pins pl_clk1 {out 1 clk} }
      if {[setting $cell PSU__USE__IRQ0 0]} { dict set pins pl_ps_irq0 {in 1 {}} }
      if {[setting $cell PSU__USE__M_AXI_GP0 1]} { dict set pins maxihpm0_fpd_aclk {in 1 clk} }
      if {[setting $cell PSU__USE__M_AXI_GP1 1]} { dict set pins maxihpm1_fpd_aclk {in 1 clk} }
      if {[setting $cell PSU__TTC0__WAVEOUT__ENABLE 0] && [setting $cell PSU__TTC0__WAVEOUT__IO MIO] eq "EMIO"} {
        dict set pins emio_ttc0_wave_o {out 3 {}}
      }
      dict for {port n} $gp {
        if {[setting $cell PSU__USE__S_AXI_GP$n 0]} { dict set pins saxi[string tolower $port]_fpd_aclk {in 1 clk} }
      }
      return $pins
    }
    proc_sys_reset {
      return {slowest_sync_clk {in 1 clk} ext_reset_in {in 1 {}} aux_reset_in {in 1 {}} mb_debug_sys_rst {in 1 {}} dcm_locked {in 1 {}}
        mb_reset {out 1 rst} bus_struct_reset {out 1 rst} peripheral_reset {out 1 rst} interconnect_aresetn {out 1 rst}
        peripheral_aresetn {out 1 rst}}
    }
    smartconnect { return {aclk {in 1 clk} aresetn {in 1 rst}} }
    clk_wiz {
      set pins {clk_in1 {in 1 clk} clk_out1 {out 1 clk}}
      if {[setting $cell USE_LOCKED true]} { dict set pins locked {out 1 {}} }
      if {[setting $cell USE_RESET true]} { dict set pins reset {in 1 rst} }
      return $pins
    }
    xlslice { return [dict create Din [list in [setting $cell DIN_WIDTH 32] {}] Dout {out 1 {}}] }
    default { return [dict get $module pins] }
  }
}

# Buses of a cell: NAME {mode data_width address_width protocol clock-pin}.
proc stub::buses {cell} {
  variable cells
  variable gp
  variable module
  switch $cells($cell) {
    zynq_ultra_ps_e {
      set buses {}
      if {[setting $cell PSU__USE__M_AXI_GP0 1]} {
        dict set buses M_AXI_HPM0_FPD [list master [setting $cell PSU__MAXIGP0__DATA_WIDTH 128] 40 AXI4 maxihpm0_fpd_aclk]
      }
      if {[setting $cell PSU__USE__M_AXI_GP1 1]} { dict set buses M_AXI_HPM1_FPD {master 128 40 AXI4 maxihpm1_fpd_aclk} }
      dict for {port n} $gp {
        if {[setting $cell PSU__USE__S_AXI_GP$n 0]} {
          dict set buses S_AXI_${port}_FPD [list slave [setting $cell PSU__SAXIGP${n}__DATA_WIDTH 128] 49 AXI4 \
            saxi[string tolower $port]_fpd_aclk]
        }
      }
      return $buses
    }
    smartconnect { return {S00_AXI {slave any 64 any aclk} M00_AXI {master any 64 any aclk}} }
    proc_sys_reset - clk_wiz - xlslice { return {} }
    default { return [dict get $module buses] }
  }
}

proc stub::do_create_bd_cell {options words} {
  variable cells
  variable config
  variable module
  if {[info exists cells($words)]} { refuse "two cells $words" }
  if {[dict exists $options -reference]} {
    set cells($words) [dict get $options -reference]
    set module [read_module $cells($words)]
    set config($words) [dict get $module parameters]
  } else {
    set cells($words) [lindex [split [dict get $options -vlnv] :] 2]
    set config($words) {}
  }
  return $words
}

proc stub::do_get_ipdefs {options words} {
  set name [lindex [split $words :] 2]
  if {![dict exists $::ip_properties $name]} { refuse "IP $name is not known" }
  return "xilinx.com:ip:$name:1.0"
}

# The board preset: what it switches on (kv260_som, preset_s4.xml of 1.4).
proc stub::do_apply_bd_automation {options words} {
  variable config
  set config($words) {PSU__USE__IRQ0 1 PSU__USE__M_AXI_GP0 1 PSU__USE__M_AXI_GP1 1 PSU__USE__M_AXI_GP2 0 PSU__FPGA_PL0_ENABLE 1
    PSU__FPGA_PL1_ENABLE 1 PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 100 PSU__TTC0__PERIPHERAL__ENABLE 1}
}

proc stub::set_config {cell property value} {
  variable cells
  variable config
  variable module
  if {![regsub {^CONFIG\.} $property "" name]} { refuse "property $property of the cell $cell" }
  set known [expr {[dict exists $::ip_properties $cells($cell)] ? [dict get $::ip_properties $cells($cell)] : [dict keys [dict get $module parameters]]}]
  if {$name ni $known} { refuse "$cells($cell) has no property CONFIG.$name (or nobody looked it up)" }
  dict set config($cell) $name $value
}

proc stub::do_set_property {options words} {
  variable cells
  variable project
  if {[dict exists $options -dict]} {
    foreach {property value} [lindex [dict get $options -dict] 0] { set_config $words $property $value }
  } elseif {[lindex $words 0] eq "CONFIG.FREQ_HZ"} {
    # Of a pin or a bus of the module; that it is there is known, for it was got.
    lappend ::stub::rates [lindex $words 2]
  } elseif {[info exists cells([lindex $words 2])]} {
    set_config [lindex $words 2] [lindex $words 0] [lindex $words 1]
  } else {
    dict set project {*}[lrange $words 0 1]
  }
}

proc stub::exists {what object options} {
  if {[dict exists $options -quiet]} { return "" }
  refuse "no $what $object"
}

proc stub::do_get_bd_cells {options words} {
  variable cells
  return [expr {[info exists cells($words)] ? $words : [exists "block" $words $options]}]
}

proc stub::do_get_bd_pins {options words} {
  variable cells
  lassign [split $words /] cell pin
  if {[info exists cells($cell)] && [dict exists [pins $cell] $pin]} { return $words }
  return [exists "pin" $words $options]
}

proc stub::do_get_bd_intf_pins {options words} {
  variable cells
  lassign [split $words /] cell bus
  if {[info exists cells($cell)] && [dict exists [buses $cell] $bus]} { return $words }
  return [exists "bus" $words $options]
}

proc stub::do_create_bd_port {options words} {
  variable ports
  dict set ports $words [dict get $options -dir]
  return $words
}

proc stub::do_get_bd_ports {options words} {
  variable ports
  return [expr {[dict exists $ports $words] ? $words : [exists "port" $words $options]}]
}

proc stub::pin {path} {
  variable ports
  if {[dict exists $ports $path]} { return {in 1 {}} }
  lassign [split $path /] cell name
  return [dict get [pins $cell] $name]
}

proc stub::do_connect_bd_net {options words} {
  variable driver_of
  set driver [lindex $words 0]
  if {[lindex [pin $driver] 0] ne "out"} { refuse "$driver drives nothing" }
  foreach sink [lrange $words 1 end] {
    lassign [pin $sink] direction width
    if {$direction ne "in"} { refuse "two drivers: $driver and $sink" }
    if {[info exists driver_of($sink)]} { refuse "$sink is connected twice: $driver_of($sink), $driver" }
    if {$width != [lindex [pin $driver] 1]} { refuse "$sink has $width bits, $driver [lindex [pin $driver] 1]" }
    set driver_of($sink) $driver
  }
}

proc stub::bus {path} {
  lassign [split $path /] cell name
  return [dict get [buses $cell] $name]
}

proc stub::do_connect_bd_intf_net {options words} {
  variable links
  lassign $words one other
  foreach path $words {
    if {[info exists links($path)]} { refuse "$path is connected twice" }
  }
  if {[lindex [bus $one] 0] ne "master" || [lindex [bus $other] 0] ne "slave"} { refuse "$one to $other is not master to slave" }
  foreach {index what} {1 data 3 protocol} {
    set a [lindex [bus $one] $index]
    set b [lindex [bus $other] $index]
    if {$a ne $b && "any" ni [list $a $b]} { refuse "$one and $other differ in $what: $a, $b" }
  }
  set links($one) $other
  set links($other) $one
}

# What validate_bd_design would surely refuse: open clocks, resets and buses, buses whose ends have other clocks, unmapped segments.
proc stub::do_validate_bd_design {options words} {
  variable cells
  variable driver_of
  variable links
  variable module
  variable mapped
  variable excluded
  variable validated
  foreach cell [lsort [array names cells]] {
    set own [expr {![dict exists $::ip_properties $cells($cell)]}]
    dict for {name about} [pins $cell] {
      if {[lindex $about 0] eq "in" && ($own || [lindex $about 2] ne "") && ![info exists driver_of($cell/$name)]} {
        refuse "$cell/$name is not connected"
      }
      if {$own && [lindex $about 0] eq "out" && "$cell/$name" ni [lmap {- driver} [array get driver_of] {set driver}]} {
        refuse "$cell/$name is not connected"
      }
    }
    dict for {name about} [buses $cell] {
      if {![info exists links($cell/$name)]} { refuse "$cell/$name is not connected" }
      set peer $links($cell/$name)
      set clock $driver_of($cell/[lindex $about 4])
      set other $driver_of([lindex [split $peer /] 0]/[lindex [bus $peer] 4])
      if {$clock ne $other} { refuse "$cell/$name runs on $clock, $peer on $other" }
    }
  }
  set done [lmap one [concat $mapped $excluded] {lindex $one 1}]
  dict for {segment about} [segments] {
    if {$segment ni $done} { refuse "segment $segment is neither mapped nor excluded" }
  }
  set validated 1
}

proc stub::do_save_bd_design {options words} {
  variable validated
  if {!$validated} { refuse "save_bd_design before validate_bd_design" }
}

proc stub::blocks_json {} {
  variable cells
  variable config
  variable driver_of
  variable links
  variable mapped
  variable excluded
  variable files
  variable ports
  variable module
  variable project
  set parts [list "\"cells\": [json dict [array get cells]]" "\"nets\": [json dict [array get driver_of]]" \
    "\"links\": [json dict [array get links]]" "\"files\": [json list $files]" "\"ports\": [json dict $ports]" \
    "\"project\": [json dict $project]" \
    "\"mapped\": \[[join [lmap one $mapped {json list $one}] ,]\]" "\"excluded\": \[[join [lmap one $excluded {json list $one}] ,]\]"]
  lappend parts "\"config\": {[join [lmap {cell values} [array get config] {string cat [json text $cell] : [json dict $values]}] ,]}"
  if {[dict exists $module members]} {
    set members [lmap {bus signals} [dict get $module members] {
      string cat [json text $bus] : [json list [lmap {signal about} $signals {lindex $about 2}]]
    }]
    lappend parts "\"members\": {[join $members ,]}" "\"pins\": [json list [dict keys [dict get $module pins]]]"
  }
  return [join $parts ",\n"]
}
