# The vocabulary of the stub: commands that these scripts may use, with their options and how many values each takes (UG835, looked up
# in its public copies; where a version differs, what 2022.1 has). -quiet and -verbose go everywhere. `words`: least and most other words.

set vocabulary {
  create_project {words {0 2} -part 1 -force 0 -in_memory 0 -ip 0 -rtl_kernel 0}
  current_project {words {0 1}}
  current_fileset {words {0 1} -constrset 0 -simset 0 -srcset 0}
  current_design {words {0 1}}
  get_board_parts {words {0 9} -regexp 0 -nocase 0 -latest_file_version 0 -latest_hw_revision 0 -filter 1}
  set_property {words {1 3} -dict 1 -name 1 -value 1 -objects 1}
  get_property {words {2 2} -min 0 -max 0}
  set_msg_config {words {0 0} -id 1 -string 1 -severity 1 -limit 1 -suppress 0 -new_severity 1 -regexp 0}
  version {words {0 0} -short 0}
  add_files {words {1 1} -fileset 1 -of_objects 1 -norecurse 0 -copy_to 1 -force 0 -scan_for_includes 0}
  update_compile_order {words {0 0} -force_gui 0 -fileset 1}
  get_files {words {0 9} -regexp 0 -nocase 0 -filter 1 -compile_order 1 -used_in 1 -norecurse 0 -all 0 -of_objects 1}
  get_ipdefs {words {0 9} -regexp 0 -nocase 0 -all 0 -filter 1 -of_objects 1}
  generate_target {words {2 2} -force 0}
  make_wrapper {words {0 0} -top 0 -testbench 0 -inst_template 0 -files 1 -fileset 1 -import 0 -force 0}
  read_verilog {words {1 9} -library 1 -sv 0}
  read_xdc {words {1 1} -cells 1 -ref 1 -quiet_diff_pairs 0 -mode 1 -unmanaged 0 -no_add 0}
  create_bd_design {words {1 1} -dir 1 -cell 1}
  create_bd_cell {words {1 1} -vlnv 1 -type 1 -reference 1 -revision 1}
  create_bd_port {words {1 1} -from 1 -to 1 -dir 1 -type 1 -freq_hz 1}
  apply_bd_automation {words {1 9} -rule 1 -config 1 -dict 1 -opts 1}
  get_bd_cells {words {0 1} -regexp 0 -hierarchical 0 -filter 1 -of_objects 1}
  get_bd_pins {words {0 1} -regexp 0 -hierarchical 0 -filter 1 -of_objects 1}
  get_bd_ports {words {0 1} -regexp 0 -filter 1 -of_objects 1}
  get_bd_intf_pins {words {0 1} -regexp 0 -hierarchical 0 -filter 1 -of_objects 1}
  connect_bd_net {words {2 99} -net 1 -boundary_type 1}
  connect_bd_intf_net {words {2 3} -intf_net 1 -boundary_type 1}
  get_bd_addr_spaces {words {0 1} -regexp 0 -hierarchical 0 -filter 1 -of_objects 1}
  get_bd_addr_segs {words {0 1} -regexp 0 -hierarchical 0 -filter 1 -of_objects 1 -excluded 0 -addressed 0 -unaddressed 0}
  assign_bd_address {words {0 9} -target_address_space 1 -boundary 0 -external 0 -offset 1 -range 1 -base_high 1 -force 0}
  exclude_bd_addr_seg {words {0 1} -target_address_space 1}
  validate_bd_design {words {0 1} -force 0}
  save_bd_design {words {0 1}}
  synth_design {words {0 0} -name 1 -part 1 -constrset 1 -top 1 -include_dirs 1 -generic 1 -verilog_define 1 -flatten_hierarchy 1
    -directive 1 -rtl 0 -bufg 1 -no_lc 0 -shreg_min_size 1 -mode 1 -fsm_extraction 1 -keep_equivalent_registers 0 -resource_sharing 1
    -cascade_dsp 1 -control_set_opt_threshold 1 -max_bram 1 -max_uram 1 -max_dsp 1 -no_srlextract 0 -assert 0 -no_timing_driven 0 -sfcu 0}
  opt_design {words {0 0} -retarget 0 -propconst 0 -sweep 0 -remap 0 -aggressive_remap 0 -resynth_area 0 -directive 1 -bufg_opt 0
    -control_set_merge 0 -merge_equivalent_drivers 0 -carry_remap 0}
  place_design {words {0 0} -directive 1 -no_timing_driven 0 -timing_summary 0 -unplace 0 -post_place_opt 0 -no_psip 0 -no_bufg_opt 0}
  phys_opt_design {words {0 0} -fanout_opt 0 -placement_opt 0 -routing_opt 0 -rewire 0 -critical_cell_opt 0 -dsp_register_opt 0
    -bram_register_opt 0 -uram_register_opt 0 -shift_register_opt 0 -hold_fix 0 -retime 0 -directive 1 -critical_pin_opt 0 -clock_opt 0}
  route_design {words {0 0} -unroute 0 -directive 1 -tns_cleanup 0 -no_timing_driven 0 -preserve 0 -timing_summary 0 -finalize 0
    -ultrathreads 0}
  write_checkpoint {words {0 1} -force 0 -cell 1 -incremental_synth 0}
  write_bitstream {words {1 1} -force 0 -raw_bitfile 0 -no_binary_bitfile 0 -mask_file 0 -readback_file 0 -logic_location_file 0
    -bin_file 0 -cell 1}
  write_cfgmem {words {1 1} -format 1 -size 1 -interface 1 -checksum 0 -disablebitswap 0 -loadbit 1 -loaddata 1 -force 0}
  get_cells {words {0 1} -hierarchical 0 -hsc 1 -regexp 0 -nocase 0 -filter 1 -of_objects 1 -match_style 1 -include_replicated_objects 0}
  get_pins {words {0 1} -hierarchical 0 -hsc 1 -regexp 0 -nocase 0 -leaf 0 -filter 1 -of_objects 1}
  get_ports {words {0 1} -regexp 0 -nocase 0 -filter 1 -of_objects 1}
  get_clocks {words {0 1} -regexp 0 -nocase 0 -filter 1 -of_objects 1 -include_generated_clocks 0}
  get_timing_paths {words {0 0} -from 1 -to 1 -through 1 -delay_type 1 -setup 0 -hold 0 -max_paths 1 -nworst 1 -unique_pins 0
    -slack_lesser_than 1 -slack_greater_than 1 -group 1 -no_report_unconstrained 0 -sort_by 1 -filter 1 -cell 1}
  report_timing_summary {words {0 0} -check_timing_verbose 0 -delay_type 1 -no_detailed_paths 0 -setup 0 -hold 0 -max_paths 1 -nworst 1
    -unique_pins 0 -path_type 1 -input_pins 0 -slack_lesser_than 1 -report_unconstrained 0 -significant_digits 1 -no_header 0 -file 1
    -append 0 -name 1 -return_string 0 -warn_on_violation 0 -cells 1 -rpx 1}
  check_timing {words {0 0} -file 1 -no_header 0 -loop_limit 1 -append 0 -name 1 -override_defaults 1 -include 1 -exclude 1
    -return_string 0 -rpx 1 -cells 1}
  report_utilization {words {0 0} -file 1 -append 0 -pblocks 1 -cells 1 -return_string 0 -slr 0 -packthru 0 -name 1 -hierarchical 0
    -hierarchical_depth 1 -hierarchical_percentages 0}
  report_cdc {words {0 0} -from 1 -to 1 -cells 1 -details 0 -summary 0 -all_checks_per_endpoint 0 -severity 1 -no_header 0 -show_waiver 0
    -no_waiver 0 -waived 0 -file 1 -append 0 -return_string 0 -name 1}
  report_clock_interaction {words {0 0} -delay_type 1 -setup 0 -hold 0 -significant_digits 1 -no_header 0 -file 1 -append 0 -name 1
    -return_string 0 -cells 1}
  report_methodology {words {0 0} -name 1 -cells 1 -checks 1 -file 1 -rpx 1 -append 0 -waived 0 -no_waivers 0 -slack_lesser_than 1
    -return_string 0}
  report_drc {words {0 0} -name 1 -upgrade_cw 0 -checks 1 -ruledecks 1 -file 1 -rpx 1 -append 0 -waived 0 -no_waivers 0 -return_string 0}
  report_power {words {0 0} -no_propagation 0 -hier 1 -hierarchical_depth 1 -vid 0 -advisory 0 -file 1 -name 1 -format 1 -xpe 1 -l 1
    -return_string 0 -append 0 -rpx 1}
  report_route_status {words {0 0} -return_string 0 -file 1 -append 0 -of_objects 1 -route_type 1 -list_all_nets 0 -show_all 0 -has_routing 0}
}

# Properties of IP that may be set. Each was seen in a public design for this family; docs/vivado.md has the list.
set ip_properties {
  zynq_ultra_ps_e {
    PSU__USE__M_AXI_GP0 PSU__USE__M_AXI_GP1 PSU__USE__M_AXI_GP2 PSU__MAXIGP0__DATA_WIDTH PSU__USE__IRQ0
    PSU__USE__S_AXI_GP0 PSU__USE__S_AXI_GP1 PSU__USE__S_AXI_GP2 PSU__USE__S_AXI_GP3 PSU__USE__S_AXI_GP4 PSU__USE__S_AXI_GP5
    PSU__SAXIGP0__DATA_WIDTH PSU__SAXIGP1__DATA_WIDTH PSU__SAXIGP2__DATA_WIDTH PSU__SAXIGP3__DATA_WIDTH PSU__SAXIGP4__DATA_WIDTH
    PSU__SAXIGP5__DATA_WIDTH PSU__FPGA_PL0_ENABLE PSU__FPGA_PL1_ENABLE PSU__NUM_FABRIC_RESETS
    PSU__CRL_APB__PL0_REF_CTRL__SRCSEL PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ
    PSU__TTC0__PERIPHERAL__ENABLE PSU__TTC0__WAVEOUT__ENABLE PSU__TTC0__WAVEOUT__IO
  }
  proc_sys_reset {C_EXT_RESET_HIGH}
  smartconnect {NUM_SI NUM_MI NUM_CLKS}
  clk_wiz {PRIM_SOURCE PRIM_IN_FREQ CLKOUT1_REQUESTED_OUT_FREQ USE_LOCKED USE_RESET}
  xlslice {DIN_WIDTH DIN_FROM DIN_TO}
}
