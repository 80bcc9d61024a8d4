# The two profiles as bitstreams: parameters of mm_top, clock, and what must be found in the mapped netlist. scripts/vivado-check
# holds the parameters against scripts/synth-profile, the verilated models and the driver.

namespace eval mm {
  # `least`: fewer than these mean that a memory or a DSP became something else.
  variable profiles {
    kv260 {
      clock 300
      unit mm_group_mac
      unit_parameters {Batch 8}
      parameters {Arithmetic 1 Batch 8 FifoStrips 24576 BurstBeats 64 MaxOutstanding 8 MaxLead 4 MaxGroups 128}
      least {bram36 64 uram 40 dsp 512}
    }
    paper {
      clock 200
      unit mm_macro_mac
      unit_parameters {}
      parameters {Arithmetic 0 Batch 1 FifoStrips 2048 BurstBeats 64 MaxOutstanding 8 MaxLead 4 MaxGroups 128}
      least {bram36 36 uram 0 dsp 256}
    }
  }
  # What the K26 has; the same table as in scripts/synth-profile.
  variable k26 {lut 117120 ff 234240 dsp 1248 bram36 144 uram 64}
  # Oscillator of the board (CONFIG.PSU__PSS_REF_CLK__FREQMHZ of its preset), and what the vendor's tool makes of it for the preset's
  # IOPLL: 90 times, halved. docs/vivado.md, "The clock".
  variable reference_mhz 33.333
  variable iopll_mhz [expr {33.333 * 90 / 2}]
  # Rate of pl_clk0 as the boot image leaves it, and the input of the MMCM.
  variable boot_mhz 100
}

# How to get a clock of MHZ: a dictionary of source (direct: pl_clk0 itself; mmcm: pl_clk0 at 100 MHz into an MMCM), pl0 (MHz asked
# of pl_clk0), actual (MHz that come out), mult and div (the MMCM's ratio). HOW: auto, direct or mmcm.
proc mm::clock_plan {mhz how} {
  variable iopll_mhz
  variable reference_mhz
  variable boot_mhz
  if {![string is double -strict $mhz] || $mhz < 50 || $mhz > 400} {
    fail "--clock in MHz, 50 to 400" "'$mhz'" "for example --clock 300"
  }
  set divisor [expr {round($iopll_mhz / $mhz)}]
  set actual [expr {$iopll_mhz / $divisor}]
  # One in a thousand: what the reference's last digit costs, and nothing that timing would notice.
  set reachable [expr {abs($actual - $mhz) / $mhz < 0.001}]
  if {$how eq "direct" && !$reachable} {
    set below [expr {$iopll_mhz / ceil($iopll_mhz / $mhz)}]
    fail "a clock that divides the IOPLL's $iopll_mhz MHz" "$mhz MHz" \
      "--clock [format %.3f $below], or --pl-clock mmcm"
  }
  if {$how eq "direct" || ($how eq "auto" && $reachable)} {
    return [dict create source direct pl0 $mhz actual $actual mult 1 div 1]
  }
  # The ratio in smallest terms, from the rate in kHz.
  set a [expr {round($mhz * 1000)}]
  set b [expr {$boot_mhz * 1000}]
  set x $a
  set y $b
  while {$y != 0} {
    lassign [list $y [expr {$x % $y}]] x y
  }
  set boot [expr {$iopll_mhz / round($iopll_mhz / $boot_mhz)}]
  return [dict create source mmcm pl0 $boot_mhz actual [expr {$boot * $a / $b}] mult [expr {$a / $x}] div [expr {$b / $x}]]
}

# CONFIG_HASH of these parameters, as docs/architecture.md, section 2, defines it.
proc mm::config_hash {parameters} {
  set words [list 4 [dict get $parameters Arithmetic] [dict get $parameters Batch] 64 18 [dict get $parameters FifoStrips] \
    [dict get $parameters MaxGroups] 40 [dict get $parameters BurstBeats] [dict get $parameters MaxOutstanding] \
    [dict get $parameters MaxLead]]
  set hash 0x811C9DC5
  foreach word $words {
    foreach shift {0 8 16 24} {
      set hash [expr {(($hash ^ (($word >> $shift) & 255)) * 0x01000193) & 0xFFFFFFFF}]
    }
  }
  return [format %08x $hash]
}
