# What every script of this folder needs: errors in the house's form, arguments, the one list of sources, JSON.

namespace eval mm {
  # Folder of the checkout, absolute.
  variable root [file normalize [file join [file dirname [info script]] .. ..]]
  variable part xck26-sfvc784-2LV-c
}

# Stops the build: what was expected, what is there, what to do.
proc mm::fail {expected found todo} {
  error "macromac: expected $expected; found $found; what to do: $todo"
}

proc mm::say {text} {
  puts "macromac: $text"
}

# mm::arguments ARGV {NAME DEFAULT CHOICES} ...: a dictionary from `--name value` pairs. CHOICES is a list, or empty where any value will do.
proc mm::arguments {argv args} {
  set options [dict create]
  foreach known $args {
    dict set options [lindex $known 0] [lindex $known 1]
  }
  set names [dict keys $options]
  foreach {flag value} $argv {
    set name [string range $flag 2 end]
    if {![string match "--*" $flag] || $name ni $names} {
      fail "one of --[join $names { --}]" "'$flag'" "see the head of the script"
    }
    set choices [lindex [lsearch -inline -index 0 $args $name] 2]
    if {[llength $choices] > 0 && $value ni $choices} {
      fail "--$name [join $choices { or }]" "'$value'" "choose one of them"
    }
    dict set options $name $value
  }
  if {[llength $argv] % 2 != 0} {
    fail "a value after every option" "'[lindex $argv end]' at the end" "give it a value"
  }
  return $options
}

# The files of rtl/filelist.f in their order, absolute; every one of them must be there.
proc mm::sources {} {
  variable root
  set list [file join $root rtl filelist.f]
  if {![file exists $list]} {
    fail "the list of sources $list" "no such file" "run from a complete checkout"
  }
  set channel [open $list]
  set text [read $channel]
  close $channel
  set files {}
  foreach line [split $text "\n"] {
    set name [string trim [regsub {//.*} $line ""]]
    if {$name eq ""} continue
    set file [file join $root rtl $name]
    if {![file exists $file]} {
      fail "the source $file, which rtl/filelist.f names" "no such file" "restore it, or take it off the list"
    }
    lappend files $file
  }
  if {[llength $files] == 0} {
    fail "sources in $list" "none" "restore the list"
  }
  return $files
}

# A file of this checkout, absolute; must be there.
proc mm::file_of {args} {
  variable root
  set file [file join $root {*}$args]
  if {![file exists $file]} {
    fail "the file $file" "no such file" "run from a complete checkout"
  }
  return $file
}

proc mm::write_file {path text} {
  set channel [open $path w]
  puts -nonewline $channel $text
  close $channel
}

# ---- JSON: strings, numbers as they are, lists of finished values, objects of key and finished value ----

proc mm::json_string {text} {
  return "\"[string map [list \\ \\\\ \" \\\" \n \\n \t \\t] $text]\""
}

proc mm::json_list {values} {
  return "\[[join $values ", "]\]"
}

proc mm::json_object {pairs {indent " "}} {
  set lines {}
  foreach {key value} $pairs {
    lappend lines "$indent[json_string $key]: $value"
  }
  return "{\n[join $lines ",\n"]\n[string range $indent 1 end]}"
}

# On one line.
proc mm::json_row {pairs} {
  set cells {}
  foreach {key value} $pairs {
    lappend cells "[json_string $key]: $value"
  }
  return "{[join $cells ", "]}"
}
