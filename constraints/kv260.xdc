# What the block design cannot say: the one pin, and how the bitstream behaves. Everything inside runs on one clock, which the
# processing system's own constraints create (or the clocking wizard's derive), so there is no clock, no exception and no
# placement here; constraints/README.md says why.

# Fan of the carrier card: a timer of the processing system drives it (kHz, no register of the logic on its way).
set_property PACKAGE_PIN A12 [get_ports fan_en_b]
set_property IOSTANDARD LVCMOS33 [get_ports fan_en_b]
set_property SLEW SLOW [get_ports fan_en_b]
set_property DRIVE 4 [get_ports fan_en_b]
# Nobody samples it.
set_false_path -to [get_ports fan_en_b]

# The logic switches itself off before it is damaged by heat, as the board's own designs have it.
set_property BITSTREAM.CONFIG.OVERTEMPSHUTDOWN ENABLE [current_design]
