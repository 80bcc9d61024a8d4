# The stub's address map: what lies behind which bus, what is mapped and what is excluded.

# Where the transfers of a master bus arrive: through a SmartConnect to the next slave.
proc stub::arrives {master} {
  variable cells
  variable links
  if {![info exists links($master)]} { return "" }
  set slave $links($master)
  set cell [lindex [split $slave /] 0]
  return [expr {$cells($cell) eq "smartconnect" ? [arrives $cell/M00_AXI] : $slave}]
}

proc stub::do_get_bd_addr_spaces {options words} {
  return $words
}

# {offset range slave-bus} of a segment.
proc stub::segments {} {
  variable cells
  variable gp
  variable module
  set all {}
  foreach cell [array names cells] {
    if {$cells($cell) eq "zynq_ultra_ps_e"} {
      dict for {port n} $gp {
        if {![setting $cell PSU__USE__S_AXI_GP$n 0]} continue
        set places {DDR_LOW {0x0 0x80000000} DDR_HIGH {0x800000000 0x80000000} QSPI {0xC0000000 0x20000000} LPS_OCM {0xFF000000 0x1000000}}
        if {[answer ddr_high yes] eq "no"} { dict unset places DDR_HIGH }
        dict for {name place} $places { dict set all $cell/SAXIGP$n/${port}_$name [concat $place $cell/S_AXI_${port}_FPD] }
      }
    } elseif {![dict exists $::ip_properties $cells($cell)]} {
      dict for {bus about} [dict get $module buses] {
        if {[lindex $about 0] eq "slave"} { dict set all $cell/$bus/reg0 [list 0x0 [format %#x [expr {1 << [lindex $about 2]}]] $cell/$bus] }
      }
    }
  }
  return $all
}

proc stub::do_get_bd_addr_segs {options words} {
  variable mapped
  if {[dict exists $options -of_objects]} {
    return [lsearch -all -inline -exact -index 0 $mapped [lindex [dict get $options -of_objects] 0]]
  }
  return [lsearch -all -inline -glob [dict keys [segments]] $words]
}

proc stub::do_assign_bd_address {options words} {
  variable mapped
  variable cells
  variable module
  if {[llength $words] == 0} {
    # Everything that a master reaches and that is not mapped yet, where it lies.
    set spaces ps/Data
    dict for {bus about} [dict get $module buses] {
      if {[lindex $about 0] eq "master"} { lappend spaces u_mm/$bus }
    }
    foreach space $spaces {
      set slave [arrives [expr {$space eq "ps/Data" ? "ps/M_AXI_HPM0_FPD" : $space}]]
      dict for {segment about} [segments] {
        if {[lindex $about 2] eq $slave && $segment ni [lmap one $mapped {lindex $one 1}]} {
          lappend mapped [list $space $segment {*}[lrange $about 0 1]]
        }
      }
    }
    return
  }
  set space [lindex [dict get $options -target_address_space] 0]
  lassign [dict get [segments] $words] offset range slave
  if {[dict exists $options -offset]} { set offset [lindex [dict get $options -offset] 0] }
  if {[dict exists $options -range]} { set range [lindex [dict get $options -range] 0] }
  set master [expr {$space eq "ps/Data" ? "ps/M_AXI_HPM0_FPD" : $space}]
  if {[arrives $master] ne $slave} { refuse "$words is not behind $master: '[arrives $master]' is" }
  if {$offset % $range != 0} { refuse "$words: offset $offset is no multiple of $range" }
  lappend mapped [list $space $words $offset $range]
}

proc stub::do_exclude_bd_addr_seg {options words} {
  variable excluded
  variable mapped
  set space [lindex [dict get $options -target_address_space] 0]
  set index [lsearch $mapped [list $space $words *]]
  if {$index < 0} { refuse "$words is not mapped into $space, so it cannot be excluded" }
  set mapped [lreplace $mapped $index $index]
  lappend excluded [list $space $words]
}
