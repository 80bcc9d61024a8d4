#!/usr/bin/env python3
"""Prints the overlay for a build: the source with that build's clock.

usage: vivado/overlay.py MACROMAC.DTSO SUMMARY.JSON yes|no
  yes: also `memory-region = <&macromac_memory>`.

Where the build has an MMCM, pl_clk0 gets the MMCM's input rate, and a fixed-factor clock tells Linux what comes out of it.
"""

import json
import re
import sys


def fail(expected, found, todo):
    sys.exit(f"overlay: error: expected {expected}; found {found}; what to do: {todo}")


def replace(text, pattern, by):
    """Replaces what must be there exactly once."""
    new, count = re.subn(pattern, by, text)
    if count != 1:
        fail(f"one place like {pattern!r} in the overlay", count, "adapt vivado/overlay.py to driver/kernel/macromac.dtso")
    return new


def main():
    source, summary, region = sys.argv[1:]
    build = json.load(open(summary))
    if build["failures"]:
        fail("a build that passed every gate", f"{len(build['failures'])} failures, the first: {build['failures'][0]}",
             "see its reports; docs/vivado.md")
    if build["step"] != "route":
        fail("a routed build", f"one that ends with {build['step']}", "build it with --until bit")
    text = open(source).read()
    rate = round(float(build["pl_clk0_mhz"]) * 1e6)
    text = replace(text, r"assigned-clock-rates = <\d+>;", f"assigned-clock-rates = <{rate}>;")
    if build["clock_source"] == "mmcm":
        text = replace(text, r"(\t)clocks = <&zynqmp_clk 71>;", r"\1clocks = <&macromac_clock>;")
        node = ("\tmacromac_clock: clock-macromac {\n\t\tcompatible = \"fixed-factor-clock\";\n\t\t#clock-cells = <0>;\n"
                f"\t\tclocks = <&zynqmp_clk 71>;\n\t\tclock-mult = <{build['clock_mult']}>;\n\t\tclock-div = <{build['clock_div']}>;\n\t}};\n\n")
        text = replace(text, r"(?=\taccelerator@)", node)
    if region == "yes":
        text = replace(text, r"(\t\tinterrupt-parent = <&gic>;\n)", r"\1\t\tmemory-region = <&macromac_memory>;\n")
    print(text, end="")


if __name__ == "__main__":
    main()
