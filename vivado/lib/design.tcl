# The block design: the processing system, a reset, a clock, the way to the registers, five ways to memory. Addresses, interrupt and
# clock are what driver/kernel/macromac.dtso says; scripts/vivado-check compares.

namespace eval mm {
  variable bd macromac_bd
  # Registers: behind M_AXI_HPM0_FPD, two pages.
  variable registers_base 0xA0000000
  variable registers_range 0x2000
  # Memory as every port of the processing system shows it on a board with 4 GB: offsets and least ranges.
  variable ddr {LOW {0x0 0x80000000} HIGH {0x800000000 0x80000000}}
  # Port of the processing system: number in CONFIG.PSU__USE__S_AXI_GP<n>.
  variable gp {HPC0 0 HPC1 1 HP0 2 HP1 3 HP2 4 HP3 5}
  # --ports: weight port 0..3, then the data port. `spread` keeps HP1 out of it, because HP1 and HP2 share a port of the DDR controller.
  variable port_sets {
    hp {HP0 HP1 HP2 HP3 HPC0}
    spread {HPC0 HP0 HP2 HP3 HPC1}
  }
  variable masters {m_axi_hp0 m_axi_hp1 m_axi_hp2 m_axi_hp3 m_axi_hpc0}
}

# The newest version of an IP in this Vivado's catalog.
proc mm::ip {name} {
  set found [get_ipdefs -quiet "xilinx.com:ip:$name:*"]
  if {[llength $found] == 0} {
    fail "the IP xilinx.com:ip:$name in the catalog" "none" "use Vivado 2022.1 or newer with support of Zynq UltraScale+"
  }
  return [lindex $found end]
}

# Pair by pair, because an object that went through a list of ours may come out as a mere name.
proc mm::net {driver args} {
  foreach sink $args {
    connect_bd_net [get_bd_pins $driver] [get_bd_pins $sink]
  }
}

proc mm::link {master slave} {
  connect_bd_intf_net [get_bd_intf_pins $master] [get_bd_intf_pins $slave]
}

# Board preset, then what this design needs otherwise. Every property's name was found in public designs for this board.
proc mm::processing_system {ports plan} {
  variable gp
  create_bd_cell -type ip -vlnv [ip zynq_ultra_ps_e] ps
  apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} [get_bd_cells ps]
  set config [list \
    CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__MAXIGP0__DATA_WIDTH 32 \
    CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__USE__IRQ0 1 \
    CONFIG.PSU__FPGA_PL0_ENABLE 1 CONFIG.PSU__FPGA_PL1_ENABLE 0 \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL IOPLL \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ [dict get $plan pl0] \
    CONFIG.PSU__NUM_FABRIC_RESETS 1 \
    CONFIG.PSU__TTC0__PERIPHERAL__ENABLE 1 CONFIG.PSU__TTC0__WAVEOUT__ENABLE 1 CONFIG.PSU__TTC0__WAVEOUT__IO EMIO]
  foreach port $ports {
    set n [dict get $gp $port]
    lappend config CONFIG.PSU__USE__S_AXI_GP$n 1 CONFIG.PSU__SAXIGP${n}__DATA_WIDTH 128
  }
  set_property -dict $config [get_bd_cells ps]
  set actual [get_property CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ [get_bd_cells ps]]
  set asked [dict get $plan pl0]
  if {![string is double -strict $actual] || abs($actual - $asked) > 0.001 * $asked} {
    fail "pl_clk0 at $asked MHz" "'$actual' MHz (PL0_REF_CTRL__ACT_FREQMHZ)" "--pl-clock mmcm, or a --clock that divides the IOPLL"
  }
}

# Gives the pin of the clock that everything runs on.
proc mm::clock_and_reset {clock plan} {
  set pin ps/pl_clk0
  create_bd_cell -type ip -vlnv [ip proc_sys_reset] reset
  set_property -dict {CONFIG.C_EXT_RESET_HIGH 0} [get_bd_cells reset]
  if {[dict get $plan source] eq "mmcm"} {
    create_bd_cell -type ip -vlnv [ip clk_wiz] mmcm
    set_property -dict [list CONFIG.PRIM_SOURCE Global_buffer CONFIG.PRIM_IN_FREQ [dict get $plan pl0] \
      CONFIG.CLKOUT1_REQUESTED_OUT_FREQ $clock CONFIG.USE_LOCKED true CONFIG.USE_RESET false] [get_bd_cells mmcm]
    net ps/pl_clk0 mmcm/clk_in1
    # No reset ends before the clock is there.
    net mmcm/locked reset/dcm_locked
    set pin mmcm/clk_out1
  }
  net $pin reset/slowest_sync_clk
  net ps/pl_resetn0 reset/ext_reset_in
  return $pin
}

proc mm::aclk_of {port} {
  return "ps/saxi[string tolower $port]_fpd_aclk"
}

# A SmartConnect with one master and one slave.
proc mm::smartconnect {name clock master slave} {
  create_bd_cell -type ip -vlnv [ip smartconnect] $name
  set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1} [get_bd_cells $name]
  net $clock $name/aclk
  net reset/interconnect_aresetn $name/aresetn
  link $master $name/S00_AXI
  link $name/M00_AXI $slave
}

# The carrier's fan hangs on a pin of the logic; the processing system's timer drives it, as in the board's own designs.
proc mm::fan {} {
  create_bd_cell -type ip -vlnv [ip xlslice] fan_bit
  set_property -dict {CONFIG.DIN_WIDTH 3 CONFIG.DIN_FROM 2 CONFIG.DIN_TO 2} [get_bd_cells fan_bit]
  create_bd_port -dir O fan_en_b
  net ps/emio_ttc0_wave_o fan_bit/Din
  connect_bd_net [get_bd_pins fan_bit/Dout] [get_bd_ports fan_en_b]
}

# Exactly one address segment, by a pattern.
proc mm::segment {pattern} {
  set found [get_bd_addr_segs -quiet $pattern]
  if {[llength $found] != 1} {
    fail "one address segment $pattern" "[llength $found]" "look at the block design's address editor; is it a KV260's preset (4 GB)?"
  }
  return [lindex $found 0]
}

proc mm::addresses {ports} {
  variable gp
  variable masters
  variable registers_base
  variable registers_range
  assign_bd_address -target_address_space [get_bd_addr_spaces ps/Data] -offset $registers_base -range $registers_range \
    [segment u_mm/s_axil/*]
  foreach master $masters port $ports {
    set space [get_bd_addr_spaces u_mm/$master]
    set base ps/SAXIGP[dict get $gp $port]/$port
    foreach half {DDR_LOW DDR_HIGH} {
      assign_bd_address -target_address_space $space [segment ${base}_$half]
    }
  }
  # The device has nothing to do in the flash's window or in on-chip memory. Only what is mapped can be excluded (UG835).
  assign_bd_address
  foreach master $masters port $ports {
    foreach other {QSPI LPS_OCM} {
      set segment [get_bd_addr_segs -quiet ps/SAXIGP[dict get $gp $port]/${port}_$other]
      if {[llength $segment] > 0} {
        exclude_bd_addr_seg -target_address_space [get_bd_addr_spaces u_mm/$master] $segment
      }
    }
  }
}

# Fails unless the address space holds RANGE bytes (or more, where EXACT is 0) at OFFSET.
proc mm::expect_segment {space offset range exact} {
  set found {}
  foreach segment [get_bd_addr_segs -of_objects [get_bd_addr_spaces $space]] {
    set at [get_property OFFSET $segment]
    set length [get_property RANGE $segment]
    if {$at == $offset && ($exact ? $length == $range : $length >= $range)} return
    lappend found "$length at $at"
  }
  fail "$range bytes at $offset in the address space $space" "[join $found {, }]" "vivado/lib/design.tcl, addresses; the board's preset"
}

# What the address editor ended with, against what the driver relies on.
proc mm::check_addresses {} {
  variable masters
  variable ddr
  variable registers_base
  variable registers_range
  expect_segment ps/Data $registers_base $registers_range 1
  foreach master $masters {
    dict for {half place} $ddr {
      expect_segment u_mm/$master {*}$place 0
    }
  }
}

# Tells a module reference its clock's rate: some versions take 100 MHz for its buses and then refuse the design. Where the tool hands
# the rate on by itself it may not want to be told; validation decides.
proc mm::tell_rate {clock} {
  variable masters
  set rate [get_property CONFIG.FREQ_HZ [get_bd_pins $clock]]
  foreach object [list [get_bd_pins u_mm/aclk] [get_bd_intf_pins u_mm/s_axil]] {
    catch {set_property CONFIG.FREQ_HZ $rate $object}
  }
  foreach master $masters {
    catch {set_property CONFIG.FREQ_HZ $rate [get_bd_intf_pins u_mm/$master]}
  }
}

# The whole design, validated and saved. OPTIONS: ports, links, clock; PLAN from clock_plan; PARAMETERS of mm_top. Gives its file.
proc mm::block_design {options plan parameters} {
  variable bd
  variable port_sets
  variable masters
  set ports [dict get $port_sets [dict get $options ports]]
  create_bd_design $bd
  processing_system $ports $plan

  create_bd_cell -type module -reference mm_top_bd u_mm
  set config {}
  dict for {name value} $parameters {
    lappend config CONFIG.$name $value
  }
  set_property -dict $config [get_bd_cells u_mm]

  set clock [clock_and_reset [dict get $options clock] $plan]
  set sinks [list u_mm/aclk ps/maxihpm0_fpd_aclk]
  foreach port $ports {
    lappend sinks [aclk_of $port]
  }
  net $clock {*}$sinks
  net reset/peripheral_aresetn u_mm/aresetn
  net u_mm/irq ps/pl_ps_irq0

  smartconnect to_registers $clock ps/M_AXI_HPM0_FPD u_mm/s_axil
  foreach master $masters port $ports {
    if {[dict get $options links] eq "direct"} {
      link u_mm/$master ps/S_AXI_${port}_FPD
    } else {
      smartconnect to_[string tolower $port] $clock u_mm/$master ps/S_AXI_${port}_FPD
    }
  }
  fan
  addresses $ports
  tell_rate $clock
  validate_bd_design
  check_addresses
  save_bd_design
  return [get_files $bd.bd]
}
