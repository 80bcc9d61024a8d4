"""The checks of scripts/vivado-check: each takes a checkout and gives a list of problems in words. None needs Vivado."""

import fnmatch
import importlib.machinery
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

from rtl import Rtl

PROFILES = ("kv260", "paper")


class Checkout:
    """A tree to check and a folder to work in; remembers what is slow to find out."""

    def __init__(self, root, work, quick=False):
        self.root, self.work, self.quick = Path(root), Path(work), quick
        self.work.mkdir(parents=True, exist_ok=True)
        self.kept = {}

    def text(self, path):
        return (self.root / path).read_text()

    def run(self, script, arguments=(), answers=""):
        """Runs a script under the stub: (status, what it printed, what was recorded)."""
        record = self.work / "record.json"
        record.unlink(missing_ok=True)
        done = subprocess.run(["tclsh", "vivado/check/stub.tcl", script, str(record), answers, "--out", str(self.work / "out"), *arguments],
                              cwd=self.root, capture_output=True, text=True)
        found = json.loads(record.read_text()) if record.exists() else None
        return done.returncode, done.stdout + done.stderr, found

    def design(self, *arguments):
        """The recorded block design for these arguments of build.tcl; raises when the stub refuses it."""
        if arguments not in self.kept:
            status, said, found = self.run("vivado/build.tcl", [*arguments, "--until", "design"])
            if status != 0:
                raise Refused(said.strip().splitlines()[-1])
            self.kept[arguments] = found
        return self.kept[arguments]

    def rtl(self, profile):
        if ("rtl", profile) not in self.kept:
            wanted = self.profiles()[profile]["parameters"]
            parameters = {name: wanted[name] for name in ("Arithmetic", "Batch", "FifoStrips")}
            self.kept["rtl", profile] = Rtl(self.root, "mm_top_bd", parameters, ["../vivado/mm_top_bd.v"], self.work)
        return self.kept["rtl", profile]

    def profiles(self):
        """vivado/lib/profiles.tcl as Python."""
        if "profiles" not in self.kept:
            script = """source vivado/lib/common.tcl; source vivado/lib/profiles.tcl
                dict for {name p} $mm::profiles { foreach key {clock unit parameters least} { puts "$name $key [dict get $p $key]" }
                  puts "$name hash [mm::config_hash [dict get $p parameters]]" }"""
            done = subprocess.run(["tclsh"], input=script, cwd=self.root, capture_output=True, text=True)
            profiles = {}
            for line in done.stdout.splitlines():
                name, key, *values = line.split()
                pairs = key in ("parameters", "least")
                profiles.setdefault(name, {})[key] = dict(zip(values[::2], map(int, values[1::2]))) if pairs else values[0]
            self.kept["profiles"] = profiles
        return self.kept["profiles"]

    def estimate(self):
        """scripts/synth-profile as a module: its profiles are those of the estimate."""
        sys.dont_write_bytecode = True
        loader = importlib.machinery.SourceFileLoader("synth_profile", str(self.root / "scripts/synth-profile"))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader("synth_profile", loader))
        loader.exec_module(module)
        return module


class Refused(Exception):
    pass


def differ(what, expected, found):
    return [] if expected == found else [f"{what}: expected {expected}, found {found}"]


def tcl_files(tree):
    return sorted([*tree.root.glob("vivado/**/*.tcl"), *tree.root.glob("constraints/*.xdc")])


def tcl_parses(tree):
    """Every Tcl file is complete commands, and what Vivado reads needs no newer Tcl than 8.5 (nobody here knows which one it has)."""
    problems = []
    for file in [*tree.root.glob("vivado/*.tcl"), *tree.root.glob("vivado/lib/*.tcl")]:
        newer = re.findall(r"(?:^\s*|\[)(lmap|try|throw|tailcall|coroutine|zlib|string cat|dict map|lpop|lremove)\b", file.read_text(), re.M)
        problems += [f"{file.relative_to(tree.root)}: {word} is newer than Tcl 8.5" for word in newer]
    for file in tcl_files(tree):
        script = f"set c [open {{{file}}}]; set t [read $c]; exit [expr {{![info complete $t]}}]"
        if subprocess.run(["tclsh"], input=script, text=True, check=False).returncode != 0:
            problems.append(f"{file.relative_to(tree.root)}: a bracket, brace or quote is open at its end")
    return problems


def wrapper(tree):
    """mm_top_bd is mm_top: the same ports, each connected once to its namesake, the same parameters."""
    problems = []
    for profile in PROFILES[:1] if tree.quick else PROFILES:
        rtl = tree.rtl(profile)
        top = rtl.named("mm_top")
        ports = rtl.ports(top)
        problems += differ(f"{profile}: ports of mm_top_bd", ports, rtl.ports(rtl.top))
        problems += differ(f"{profile}: connections of mm_top_bd", {name: name for name in ports}, rtl.connections(rtl.top, "u_top"))
        problems += differ(f"{profile}: parameters of mm_top_bd", rtl.parameters(top), rtl.parameters(rtl.top))
    return problems


def variants(tree):
    """Arguments of build.tcl that make different designs; a few of them where time matters (planted faults)."""
    for profile in PROFILES[:1] if tree.quick else PROFILES:
        for ports in ("hp", "spread"):
            for links in ("smartconnect", "direct"):
                for clock in ("auto",) if tree.quick else ("auto", "mmcm"):
                    yield "--profile", profile, "--ports", ports, "--links", links, "--pl-clock", clock


def connected(tree):
    """Every port of mm_top is connected exactly once in every variant of the block design, buses as wide as the other end."""
    problems = []
    for variant in variants(tree):
        found = tree.design(*variant)
        seen = {}
        for bus, ports in found["members"].items():
            for port in ports:
                seen[port] = seen.get(port, 0) + (f"u_mm/{bus}" in found["links"])
        driven = list(found["nets"].values())
        for pin in found["pins"]:
            seen[pin] = seen.get(pin, 0) + (f"u_mm/{pin}" in found["nets"]) + driven.count(f"u_mm/{pin}")
        expected = dict.fromkeys(tree.rtl(variant[1]).ports(tree.rtl(variant[1]).named("mm_top")), 1)
        problems += differ(f"{' '.join(variant)}: connections of each port", expected, seen)
    return problems


def overlay(tree):
    """What driver/kernel/macromac.dtso says."""
    text = tree.text("driver/kernel/macromac.dtso")
    numbers = lambda pattern: [int(word, 0) for word in re.search(pattern, text).group(1).split()]
    pairs = [[int(word) for word in pair.split()] for pair in re.findall(r"<(\d+ \d+)>", re.search(r"config-afi = ([^;]*);", text).group(1))]
    return {"reg": numbers(r"\breg = <([^>]*)>"), "interrupts": numbers(r"interrupts = <([^>]*)>"), "clocks": numbers(r"\tclocks = <&zynqmp_clk ([^>]*)>"),
            "rate": numbers(r"assigned-clock-rates = <([^>]*)>")[0], "afi": dict(pairs), "reset": numbers(r"resets = <&zynqmp_reset ([^>]*)>"),
            "firmware": re.search(r'firmware-name = "([^"]*)"', text).group(1)}


def contract(tree):
    """Addresses, interrupt, clock, reset and port widths are those of the overlay, the register map and the driver."""
    problems = []
    said = overlay(tree)
    for variant in variants(tree):
        name, profile = " ".join(variant), variant[1]
        found = tree.design(*variant)
        config = found["config"]["ps"]
        registers = [[int(offset, 0), int(size, 0)] for space, _, offset, size in found["mapped"] if space == "ps/Data"]
        problems += differ(f"{name}: registers (overlay's reg)", [[said["reg"][0] << 32 | said["reg"][1], said["reg"][3]]], registers)
        # SPI 89 is pl_ps_irq0[0], reset 116 is pl_resetn0, clock 71 is pl_clk0; type 4 is level, high.
        problems += differ(f"{name}: interrupt (overlay: SPI {said['interrupts']})", [[0, 89, 4], "u_mm/irq"],
                           [said["interrupts"], found["nets"].get("ps/pl_ps_irq0")])
        problems += differ(f"{name}: reset", [[116], "ps/pl_resetn0"], [said["reset"], found["nets"].get("reset/ext_reset_in")])
        clocks = {found["nets"][pin] for pin in found["nets"] if pin.endswith("aclk")}
        source = "mmcm/clk_out1" if "mmcm" in found["cells"] else "ps/pl_clk0"
        problems += differ(f"{name}: one clock", {source}, clocks)
        problems += differ(f"{name}: the overlay's clock", [71], said["clocks"])
        if source == "ps/pl_clk0" and profile == "kv260":
            problems += differ(f"{name}: rate of pl_clk0, MHz", said["rate"] / 1e6, float(config["PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"]))
        # AFI: FM n has registers 2n (read) and 2n + 1 (write), whose 0 is 128 bit; 14 is for the HPM ports, whose 0 is 32 bit.
        afi = {"HPC0": 0, "HPC1": 1, "HP0": 2, "HP1": 3, "HP2": 4, "HP3": 5}
        for slave in (bus for bus in found["links"] if bus.startswith("ps/S_AXI")):
            n = afi[slave.split("_")[2]]
            widths = {128 if said["afi"].get(2 * n + side) == 0 else None for side in (0, 1)}
            problems += differ(f"{name}: width of {slave}", widths, {int(config[f"PSU__SAXIGP{n}__DATA_WIDTH"])})
        problems += differ(f"{name}: width of M_AXI_HPM0_FPD", [0, 32], [said["afi"].get(14), int(config["PSU__MAXIGP0__DATA_WIDTH"])])
    ports = {variant[3]: tree.design(*variant)["links"] for variant in variants(tree) if variant[5] == "direct"}
    problems += differ("--ports hp", {f"u_mm/m_axi_hp{p}": f"ps/S_AXI_HP{p}_FPD" for p in range(4)} | {"u_mm/m_axi_hpc0": "ps/S_AXI_HPC0_FPD"},
                       {bus: to for bus, to in ports["hp"].items() if bus.startswith("u_mm/m_")})
    problems += differ("--ports spread", [f"ps/S_AXI_{port}_FPD" for port in ("HPC0", "HP0", "HP2", "HP3", "HPC1")],
                       [to for bus, to in sorted(ports["spread"].items()) if bus.startswith("u_mm/m_")])
    last = max(int(offset, 16) for offset in re.findall(r"^\| `(0x[0-9a-f]{4})`", tree.text("docs/registers.md"), re.M))
    if last >= said["reg"][3]:
        problems.append(f"register {last:#x} of docs/registers.md lies beyond the overlay's {said['reg'][3]:#x} bytes")
    bif = re.fullmatch(r"\s*\w+:\s*\{\s*(?:\[\w+\s*=\s*\w+(?:,\s*\w+\s*=\s*\w+)*\]\s*)?([\w./]+)\s*\}\s*", tree.text("vivado/macromac.bif"))
    problems += differ("vivado/macromac.bif + .bin (firmware-name)", said["firmware"], bif and f"{bif.group(1)}.bin")
    return problems


def profiles(tree):
    """One set of parameters and clocks: Vivado's, the estimate's, the verilated models', the driver's."""
    problems = []
    estimate = tree.estimate()
    models = tree.text("sim/rtl/models.toml")
    driver = tree.text("driver/user/src/accelerator.rs")
    for profile, model in (("kv260", "mm_top_kv260"), ("paper", "mm_top")):
        ours, theirs = tree.profiles()[profile], estimate.PROFILES[profile]
        wanted = {"Arithmetic": theirs["arithmetic"], **theirs["parameters"]}
        problems += differ(f"{profile}: parameters of scripts/synth-profile", wanted, {name: ours["parameters"][name] for name in wanted})
        problems += differ(f"{profile}: unit of scripts/synth-profile", theirs["unit"], ours["unit"])
        problems += differ(f"{profile}: least memories of scripts/synth-profile", {"uram": 0, **theirs["least"]},
                           {name: ours["least"][name] for name in ("bram36", "uram")})
        section = re.search(rf"^\[{model}\]\n(.*?)(?=^\[)", models + "\n[", re.M | re.S).group(1)
        params = re.search(r"^params = \{(.*)\}", section, re.M)
        given = dict(re.findall(r"(\w+) = (\d+)", params.group(1))) if params else {}
        elaborated = Rtl(tree.root, "mm_top", given, (), tree.work)
        problems += differ(f"{profile}: parameters of the verilated {model}", elaborated.parameters(elaborated.top), ours["parameters"])
        rate = re.search(rf"Profile::{profile.capitalize()} => ([\d_]+)", driver).group(1)
        problems += differ(f"{profile}: clock of the driver's Profile, Hz", int(rate), int(ours["clock"]) * 1000000)
        synth = json.loads(tree.text("docs/results/synth.json"))
        recorded = next(one["config_hash"] for one in synth["profiles"] if one["profile"] == profile)
        problems += differ(f"{profile}: config_hash of docs/results/synth.json", recorded, ours["hash"])
        if profile == "kv260":
            macs = sum(cell.endswith(".u_mac2/u_dsp") for cell in tree.rtl(profile).cells())
            problems += differ("kv260: least DSPs, the mm_dsp_mac2 after elaboration", macs, ours["least"]["dsp"])
    return problems


def one_clock(tree):
    """Nothing in rtl/ knows a second clock or an asynchronous reset: no crossing, so no exception."""
    problems = []
    for line in tree.text("rtl/filelist.f").splitlines():
        name = line.split("//")[0].strip()
        if not name or not (tree.root / "rtl" / name).exists():
            continue
        text = re.sub(r"//.*", "", tree.text(f"rtl/{name}"))
        for event in re.findall(r"@\s*\(([^)]*edge[^)]*)\)", text):
            if event.strip() not in ("posedge clk_i", "posedge clk"):
                problems.append(f"rtl/{name}: @({event})")
        for pin, net in re.findall(r"\.(clk|clk_i|aclk)\s*\(([^)]*)\)", text):
            if net.strip() not in ("clk_i", "aclk", "clk"):
                problems.append(f"rtl/{name}: .{pin}({net})")
    return problems


XDC_COMMANDS = {"set_property", "create_clock", "set_false_path", "set_max_delay", "set_multicycle_path", "get_ports", "get_cells", "get_pins",
                "get_nets", "get_clocks", "current_design"}


def constraints(tree):
    """Constraints use known commands, and each pattern names something: a port of the block design, a cell of the elaborated RTL."""
    problems = []
    ports = set(tree.design("--profile", "kv260")["ports"])
    cells = {profile: {f"macromac_bd_i/u_mm/inst/{cell}" for cell in tree.rtl(profile).cells()} for profile in (PROFILES[:1] if tree.quick else PROFILES)}
    for file in sorted(tree.root.glob("constraints/*.xdc")):
        where = file.relative_to(tree.root)
        text = re.sub(r"^\s*#.*", "", file.read_text(), flags=re.M)
        for command in re.findall(r"(?:^|\[)\s*([a-z_]+)", text, re.M):
            if command not in XDC_COMMANDS:
                problems.append(f"{where}: {command} is no command of a constraint file (or nobody looked it up)")
        # ooc.xdc is for one module, whose clock is clk_i.
        known = {"clk_i"} if file.name == "ooc.xdc" else ports
        for kind, pattern in re.findall(r"get_(ports|cells|pins|nets)\s+(?:-quiet\s+)?(?:-hierarchical\s+)?\{?([^\s\]}]+)\}?", text):
            if kind == "ports":
                if not fnmatch.filter(known, pattern):
                    problems.append(f"{where}: get_ports {pattern} matches no port of {sorted(known)}")
            else:
                # A pin's path ends with its name.
                cell = pattern.rsplit("/", 1)[0] if kind == "pins" else pattern
                escaped = re.sub(r"\[(\d+)\]", r"[[]\1]", cell)
                if not any(fnmatch.filter(paths, escaped) or fnmatch.filter(paths, f"*/{escaped}") for paths in cells.values()):
                    problems.append(f"{where}: get_{kind} {pattern} matches no cell of the RTL in either profile")
    return problems


def documented(tree):
    """docs/vivado.md names every property that is set on the processing system."""
    page = tree.text("docs/vivado.md")
    config = set(tree.design("--profile", "kv260")["config"]["ps"]) | set(tree.design("--profile", "paper", "--ports", "spread")["config"]["ps"])
    shown = {re.sub(r"GP[0-5]", "GPn", name) for name in config}
    return [f"docs/vivado.md does not name {name}" for name in sorted(shown) if name not in page]


FAST = {"tcl": tcl_parses, "wrapper": wrapper, "connected": connected, "contract": contract, "profiles": profiles, "one clock": one_clock,
        "constraints": constraints, "documented": documented}


def problems(tree, name):
    """The problems that a check finds; a design that the stub refuses is one."""
    try:
        return FAST[name](tree)
    except Refused as refused:
        return [str(refused)]
