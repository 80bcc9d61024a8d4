# What a module reference is to a block design: read from the attributes of its Verilog.

# Ports, buses and associations of the module as its attributes declare them.
proc stub::read_module {name} {
  variable files
  set file [lsearch -inline -glob $files "*/$name.v"]
  if {$file eq "" || ![file exists $file]} {
    refuse "module $name is in no Verilog file of the project (a module reference must be plain Verilog)"
  }
  set channel [open $file]
  set text [read $channel]
  close $channel
  set pins {}
  set buses {}
  set info {xilinx.com:(interface|signal):(\w+):1.0 (\w+) (\w+)}
  set parameter {(?:\(\* X_INTERFACE_PARAMETER = "([^"]*)" \*\)\s*)?}
  set declaration {(input|output)\s+wire\s*(?:\[(\d+):0\])?\s*(\w+)}
  set pattern "X_INTERFACE_INFO = \"$info\" \\*\\)\\s*$parameter$declaration"
  foreach {- class type bus signal parameter direction high port} [regexp -all -inline $pattern $text] {
    set dir [string map {put ""} $direction]
    set width [expr {$high eq "" ? 1 : $high + 1}]
    if {$class eq "signal"} {
      dict set pins $port [list $dir $width [string map {clock clk reset rst interrupt {}} $type]]
      if {$type eq "clock" && [regexp {ASSOCIATED_BUSIF ([\w:]+)} $parameter -> clocked]} {
        foreach one [split $clocked :] { dict set clock $one $port }
      }
      continue
    }
    if {![string equal -nocase $port ${bus}_$signal]} {
      refuse "$port is declared as $signal of $bus"
    }
    dict set members $bus $signal [list $dir $width $port]
  }
  dict for {bus signals} $members {
    set address [expr {[dict exists $signals ARADDR] ? "ARADDR" : "AWADDR"}]
    set mode [expr {[lindex [dict get $signals $address] 0] eq "out" ? "master" : "slave"}]
    set parameter ""
    regexp "XIL_INTERFACENAME $bus, (\[^\"\]*)\"" $text -> parameter
    foreach {key value} [list DATA_WIDTH [lindex [dict get $signals RDATA] 1] ADDR_WIDTH [lindex [dict get $signals $address] 1]] {
      if {![regexp "$key (\\d+)" $parameter -> declared] || $declared != $value} {
        refuse "bus $bus: $key is declared as other than its port's $value: $parameter"
      }
    }
    if {![dict exists $clock $bus]} { refuse "bus $bus has no clock (ASSOCIATED_BUSIF)" }
    dict set buses $bus [list $mode [lindex [dict get $signals RDATA] 1] [lindex [dict get $signals $address] 1] \
      [expr {[dict exists $signals ARLEN] ? "AXI4" : "AXI4LITE"}] [dict get $clock $bus]]
  }
  set parameters [dict create]
  foreach {- key value} [regexp -all -inline {parameter integer (\w+)\s*= (\d+)} $text] { dict set parameters $key $value }
  return [dict create pins $pins buses $buses members $members parameters $parameters]
}
