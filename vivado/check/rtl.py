"""What the RTL is after elaboration, by Verilator: ports, parameters, instances, and which names a constraint can match."""

import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path


class Rtl:
    """The elaborated `top` of a checkout: `sources` besides rtl/filelist.f, parameters as {name: value}."""

    def __init__(self, root, top, parameters=None, sources=(), work=None):
        files = [line.split("//")[0].strip() for line in (root / "rtl/filelist.f").read_text().splitlines()]
        out = work / f"{top}-{'-'.join(f'{k}{v}' for k, v in sorted((parameters or {}).items())) or 'default'}.xml"
        command = ["verilator", "--xml-only", "--xml-output", str(out), "--no-timing", "-Wno-fatal", "lint/waivers.vlt", "--top-module", top]
        # As Vivado reads it: the primitive instead of its twin, no assertions.
        command += ["-DSYNTHESIS", "lint/dsp48e2.v"] + [f"-G{name}={value}" for name, value in (parameters or {}).items()]
        files = [file for file in files if file] + [str(source) for source in sources]
        self.source_of = {Path(file).stem: root / "rtl" / file for file in files}
        command += files
        done = subprocess.run(command, cwd=root / "rtl", capture_output=True, text=True)
        if done.returncode != 0 or not out.exists():
            raise SystemExit(f"vivado-check: Verilator does not elaborate {top}:\n{done.stderr[-2000:]}")
        netlist = ET.parse(out).getroot().find("netlist")
        self.widths = {}
        for kind in netlist.find("typetable"):
            if kind.tag == "basicdtype":
                self.widths[kind.get("id")] = int(kind.get("left", "0")) - int(kind.get("right", "0")) + 1
        self.modules = {module.get("name"): module for module in netlist.findall("module")}
        self.top = next(module for module in self.modules.values() if module.get("origName") == top)

    def named(self, name):
        """The module with this name in the source (its first parameter set)."""
        return next(module for module in self.modules.values() if module.get("origName") == name)

    def ports(self, module):
        """{name: (direction, width)}"""
        return {var.get("name"): (var.get("dir"), self.widths.get(var.get("dtype_id"), 0)) for var in module.findall("var") if var.get("dir")}

    def parameters(self, module):
        """{name: value} of the integer parameters."""
        values = {}
        for var in module.findall("var"):
            constant = var.find("const")
            if var.get("param") and constant is not None:
                values[var.get("name")] = int(re.sub(r"^\d+'s?h", "", constant.get("name")), 16)
        return values

    def connections(self, module, instance):
        """{port of the instance: net}, for ports that are connected to one whole net."""
        found = next(one for one in module.findall("instance") if one.get("name") == instance)
        return {port.get("name"): port.find("varref").get("name") for port in found.findall("port") if port.find("varref") is not None}

    def registers(self, module):
        """Names that the module's source assigns with <=; a register of `x` is the cell x_reg. (A generate scope before it is left out.)"""
        text = re.sub(r"//.*", "", self.source_of[module.get("origName")].read_text())
        return {name for name in re.findall(r"(\w+)(?:\[[^\]]*\]|\.\w+)*\s*<=(?!=)", text)}

    def cells(self):
        """All paths that a get_cells pattern could mean: instances, and registers as PATH/x_reg."""
        modules = {}

        def descend(node, prefix, path):
            for child in node:
                if child.tag == "begin":
                    descend(child, prefix + (f"{child.get('name')}." if child.get("name") else ""), path)
                elif child.tag == "instance" and child.get("defName") in self.modules:
                    whole = "/".join(filter(None, [path, prefix + child.get("name")]))
                    modules[whole] = self.modules[child.get("defName")]
                    descend(modules[whole], "", whole)

        descend(self.top, "", "")
        found = set(modules)
        for path, module in modules.items():
            if module.get("origName") in self.source_of:
                found |= {f"{path}/{name}_reg" for name in self.registers(module)}
        return found
