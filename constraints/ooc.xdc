# One module by itself (vivado/ooc.tcl, which replaces PERIOD_NS by the period asked for): its clock. Ports have no delays: what is
# looked at are the ways between registers.
create_clock -name clk -period PERIOD_NS [get_ports clk_i]
