#!/usr/bin/env python3
"""Writes everything that is generated from rtl/regs/macromac.rdl into a copy of the tree's layout.

usage: export.py RDL OUTPUT_ROOT

The register block comes from PeakRDL-regblock. The other exporters of PeakRDL do not fit here: the C
header lays structs over the page and includes <stdint.h> and <assert.h> (a kernel driver wants offsets and
masks), the Rust one writes some 30 files of pointer code (we want constants), the Markdown one repeats
every register of an array (1,500 lines). So these three are written below from the same parsed register map.
"""

import re
import subprocess
import sys
from pathlib import Path

from systemrdl import RDLCompiler
from systemrdl.node import RegfileNode, RegNode

SOURCE = "rtl/regs/macromac.rdl"
NOTICE = f"Generated from {SOURCE} by scripts/generate; do not edit."
MODULE, PACKAGE = "mm_regs", "mm_regs_pkg"


class Register:
    """A register with its place: offset, or offset in an element of an array."""

    def __init__(self, node, parts, offset, array):
        self.name = "_".join(parts)
        self.offset = offset
        self.array = array
        self.title = node.get_property("name")
        self.desc = node.get_property("desc") or ""
        self.fields = list(node.fields())
        # The halves of a 64-bit counter are told apart by their own name, explained by the pair's.
        pair = node.parent
        self.is_half = not array_element(pair) and isinstance(pair, RegfileNode)
        if self.is_half:
            name = pair.get_property("name")
            name = name if name != pair.inst_name else "_".join(parts[:-1])
            self.title = f"{name} ({self.title[0].lower()}{self.title[1:]})"
            self.desc = self.desc or pair.get_property("desc") or ""

    def summary(self):
        """One line that says what the register is."""
        return one_line(f"{self.title}. {self.desc}")


def array_element(node):
    return getattr(node, "is_array", False)


class Array:
    """An array of register files."""

    def __init__(self, node):
        self.name = node.inst_name
        self.title = node.get_property("name")
        self.offset = node.raw_absolute_address
        self.stride = node.array_stride
        self.count = node.array_dimensions[0]


def collect(node, parts, offset, array, registers, arrays):
    for child in node.children():
        name = child.inst_name
        place = child.raw_address_offset
        if isinstance(child, RegNode):
            if child.is_array:
                raise SystemExit(f"{SOURCE}: {name}: arrays of registers are not exported yet")
            registers.append(Register(child, parts + [name], offset + place, array))
        elif child.is_array:
            found = Array(child)
            arrays.append(found)
            collect(child, [name], 0, found, registers, arrays)
        elif isinstance(child, RegfileNode):
            collect(child, parts + [name], offset + place, array, registers, arrays)


def bits(field):
    return f"{field.high}:{field.low}" if field.high != field.low else f"{field.low}"


def mask(field):
    return ((1 << (field.high - field.low + 1)) - 1) << field.low


def whole(register):
    """True when one field is the whole register, so that mask and shift say nothing."""
    return len(register.fields) == 1 and mask(register.fields[0]) == 0xFFFFFFFF


def one_line(text):
    return " ".join((text or "").split())


def write_block(rdl, root):
    """The SystemVerilog register block.

    PeakRDL writes unpacked structs; Verilator 5.006 ends with an internal error on an array inside one,
    and makes one bit of an unpacked struct port. Packed ones mean the same.
    """
    folder = root / "rtl/regs"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "peakrdl", "regblock", str(rdl), "-o", str(folder)]
    command += ["--cpuif", "axi4-lite-flat", "--module-name", MODULE, "--package-name", PACKAGE]
    # A register between the multiplexer of all registers and the bus: without it a read is the longest way of the control page.
    command += ["--default-reset", "rst_n", "--rt-read-fanin"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for file in [folder / f"{MODULE}.sv", folder / f"{PACKAGE}.sv"]:
        text = file.read_text()
        text = re.sub(r"\bstruct \{", "struct packed {", text)
        array = re.compile(r"^(\s*)(\}|macromac__\w+) (\w+)\[(\d+)\];$", re.M)
        text = array.sub(lambda m: f"{m[1]}{m[2]} [{int(m[4]) - 1}:0] {m[3]};", text)
        lines = [line.rstrip() for line in text.splitlines()]
        file.write_text(f"// {NOTICE}\n" + "\n".join(lines) + "\n")


def write_c(registers, arrays, path):
    out = [f"/* {NOTICE} */", "/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */"]
    out += ["#ifndef MACROMAC_REGS_H", "#define MACROMAC_REGS_H", ""]
    out += ["/* Offsets are bytes from the first control register; fields have a mask and a shift. */"]

    def define(name, value):
        tabs = max(1, (48 - len("#define MACROMAC_" + name) + 7) // 8)
        out.append(f"#define MACROMAC_{name}" + "\t" * tabs + value)

    for array in arrays:
        out.append(f"\n/* {array.title}: element i at BASE + i * STRIDE. */")
        define(f"{array.name}_BASE", f"0x{array.offset:04x}")
        define(f"{array.name}_STRIDE", f"0x{array.stride:x}")
        define(f"{array.name}_COUNT", f"{array.count}")
    for register in registers:
        out.append(f"\n/* {one_line(register.summary())} */")
        define(register.name, f"0x{register.offset:04x}")
        for field in [] if whole(register) else register.fields:
            name = f"{register.name}_{field.inst_name.upper()}"
            define(f"{name}_MASK", f"0x{mask(field):08x}")
            define(f"{name}_SHIFT", f"{field.low}")
        reset = reset_of(register)
        if reset is not None:
            define(f"{register.name}_RESET", f"0x{reset:08x}")
    out += ["", "#endif"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(out) + "\n")


def reset_of(register):
    """Value of a register that reads as a constant or has a reset value other than zero."""
    value = 0
    for field in register.fields:
        value |= (field.get_property("reset") or 0) << field.low
    return value or None


def write_rust(registers, arrays, path):
    out = [f"// {NOTICE}", "", "//! Register map: byte offsets of the registers, masks and shifts of their fields.", ""]
    for array in arrays:
        out += [f"/// {array.title}: byte offset of element 0; its registers' offsets count from here."]
        out += [f"pub const {array.name}_BASE: u32 = 0x{array.offset:04x};"]
        out += [f"/// Bytes from one element of `{array.name}` to the next."]
        out += [f"pub const {array.name}_STRIDE: u32 = 0x{array.stride:x};"]
        out += [f"/// Elements of `{array.name}`.", f"pub const {array.name}_COUNT: u32 = {array.count};"]
    for register in registers:
        out += ["", f"/// {one_line(register.summary())}"]
        if register.array:
            out += [f"/// Offset in an element of `{register.array.name}`."]
        out += [f"pub const {register.name}: u32 = 0x{register.offset:04x};"]
        for field in [] if whole(register) else register.fields:
            name = f"{register.name}_{field.inst_name.upper()}"
            out += [f"/// Mask of bits {bits(field)}: {one_line(field.get_property('desc'))}."]
            out += [f"pub const {name}_MASK: u32 = 0x{mask(field):08x};"]
            out += [f"/// Lowest bit of `{name}_MASK`.", f"pub const {name}_SHIFT: u32 = {field.low};"]
        reset = reset_of(register)
        if reset is not None:
            out += [f"/// Value of `{register.name}` after reset.", f"pub const {register.name}_RESET: u32 = 0x{reset:08x};"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(out) + "\n")


def access(field):
    text = {"r": "read", "w": "write", "rw": "read, write"}[field.get_property("sw").name]
    if field.get_property("onwrite"):
        text += ", write 1 to clear"
    if field.get_property("singlepulse"):
        text += " 1 to trigger"
    return text


def cell(text):
    return one_line(text).replace("|", "\\|")


def write_markdown(top, registers, arrays, path):
    out = [f"<!-- {NOTICE} -->", "", "# Registers", "", one_line(top.get_property("desc")), ""]
    out += ["The source of this page, of the register block `rtl/regs/mm_regs.sv`, of `driver/kernel/macromac_regs.h` and of"]
    out += [f"`host/format/src/regs.rs` is `{SOURCE}`.", ""]
    out += ["| offset | register | what it is |", "|---|---|---|"]
    for register in registers:
        where = f"`0x{register.offset:04x}`"
        if register.array:
            array = register.array
            where = f"`0x{array.offset + register.offset:04x}` + {array.stride:#x} i"
        out.append(f"| {where} | `{register.name}` | {cell(register.summary() if register.is_half else register.title)} |")
    for array in arrays:
        out += ["", f"`{array.name}_*`: {one_line(array.title)}, i = 0..{array.count - 1}."]
    for register in registers:
        # The table above says all about a half of a counter.
        if register.is_half:
            continue
        out += ["", f"## {register.name}", "", one_line(register.summary()), ""]
        out += ["| bits | field | access | reset | meaning |", "|---|---|---|---|---|"]
        for field in reversed(register.fields):
            reset = field.get_property("reset")
            reset = "" if reset is None else f"{reset:#x}"
            desc = cell(field.get_property("desc"))
            out.append(f"| {bits(field)} | `{field.inst_name}` | {access(field)} | {reset} | {desc} |")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(out) + "\n")


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: export.py RDL OUTPUT_ROOT")
    rdl, root = Path(sys.argv[1]), Path(sys.argv[2])
    compiler = RDLCompiler()
    compiler.compile_file(str(rdl))
    top = compiler.elaborate().top
    registers, arrays = [], []
    collect(top, [], 0, None, registers, arrays)
    write_block(rdl, root)
    write_c(registers, arrays, root / "driver/kernel/macromac_regs.h")
    write_rust(registers, arrays, root / "host/format/src/regs.rs")
    write_markdown(top, registers, arrays, root / "docs/registers.md")


if __name__ == "__main__":
    main()
