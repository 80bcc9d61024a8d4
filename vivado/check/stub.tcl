# A Vivado that only writes down what it is told. It runs a script of this folder in plain tclsh, refuses commands, options and
# properties that it does not know, keeps a model of the block design (blocks.tcl, module.tcl, addresses.tcl), and answers reports (answers.tcl) as a good build
# would, or with the fault that --answers plants. It proves nothing about what Vivado does.
#
# usage: tclsh vivado/check/stub.tcl SCRIPT RECORD ANSWERS [ARGUMENT]...
#   RECORD    file to write: what was recorded, JSON
#   ANSWERS   NAME=VALUE,NAME=VALUE or "": see answers.tcl

namespace eval stub {
  variable here [file dirname [file normalize [info script]]]
  variable calls {}
  variable answers
  array set answers {}
}
source [file join $stub::here commands.tcl]

proc stub::refuse {text} {
  return -code error "stub: $text"
}

proc stub::answer {name default} {
  variable answers
  return [expr {[info exists answers($name)] ? $answers($name) : $default}]
}

# Takes options apart by the vocabulary: gives {options words}.
proc stub::take {command arguments} {
  set known [dict get $::vocabulary $command]
  set options [dict create]
  set words {}
  for {set i 0} {$i < [llength $arguments]} {incr i} {
    set word [lindex $arguments $i]
    # A negative number is a value.
    if {![regexp {^-[a-z]} $word]} {
      lappend words $word
    } elseif {$word in {-quiet -verbose}} {
      dict set options $word 1
    } elseif {![dict exists $known $word]} {
      refuse "$command has no option $word"
    } elseif {[dict get $known $word] == 0} {
      dict set options $word 1
    } else {
      incr i
      if {$i >= [llength $arguments]} {
        refuse "$command: no value after $word"
      }
      dict lappend options $word [lindex $arguments $i]
    }
  }
  lassign [dict get $known words] least most
  if {[llength $words] < $least || [llength $words] > $most} {
    refuse "$command takes $least to $most words besides its options, not [llength $words]: $words"
  }
  return [list $options $words]
}

proc stub::call {command args} {
  variable calls
  lassign [take $command $args] options words
  lappend calls [list $command {*}$args]
  set handler ::stub::do_$command
  if {[llength [info commands $handler]] == 0} {
    return ""
  }
  return [$handler $options $words]
}

dict for {command -} $vocabulary {
  # Tcl of the scripts must not be shadowed.
  if {[llength [info commands ::$command]] > 0} {
    error "stub: $command is a command of Tcl already"
  }
  interp alias {} ::$command {} ::stub::call $command
}
foreach stub::part {blocks module addresses answers} {
  source [file join $stub::here $stub::part.tcl]
}

# What the scripts call in other programs: bootgen, as if it were there or not.
rename auto_execok stub::real_auto_execok
proc auto_execok {name} {
  if {$name eq "bootgen"} {
    return [stub::answer bootgen ""]
  }
  return [stub::real_auto_execok $name]
}

proc unknown {command args} {
  stub::refuse "no such command: $command"
}

proc stub::json {kind value} {
  switch $kind {
    text { return "\"[string map [list \\ \\\\ \" \\\" \n \\n \t \\t] $value]\"" }
    list { return "\[[join [lmap item $value {json text $item}] ,]\]" }
    dict { return "{[join [lmap {key item} $value {string cat [json text $key] : [json text $item]}] ,]}" }
  }
}

lassign $argv stub::script stub::record stub::planted
foreach stub::pair [split $stub::planted ,] {
  set stub::answers([lindex [split $stub::pair =] 0]) [lindex [split $stub::pair =] 1]
}
set argv [lrange $argv 3 end]
set argc [llength $argv]

rename exit stub::real_exit
proc exit {{status 0}} {
  stub::write $status
  stub::real_exit $status
}

proc stub::write {status} {
  variable calls
  variable record
  set channel [open $record w]
  puts $channel "{\"status\": $status, \"calls\": \[[join [lmap one $calls {json list $one}] ",\n"]\],\n[blocks_json]}"
  close $channel
}

if {[catch {source $stub::script} stub::message]} {
  # As Vivado's batch mode: an error that nobody caught.
  puts stderr "ERROR: uncaught: $stub::message"
  exit 1
}
exit 0
