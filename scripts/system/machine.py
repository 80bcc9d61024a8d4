"""One boot: the server with the simulated device, QEMU, and what the guest says on its console."""

import json
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from way import POOL, POOL_BYTES, VfioUser

# What the kernel says when something is wrong with it or with the driver.
COMPLAINT = re.compile(
    r"\b(WARNING:|BUG:|Oops|Call trace:|Kernel panic|Unable to handle|Bad page state|list_(add|del) corruption"
    r"|refcount_t:|blocked for more than|soft lockup|rcu_.*stall|nobody cared"
    # And what the debug kernel says (scripts/system/debug.config).
    r"|UBSAN:|DMA-API:|ODEBUG:|unreferenced object|possible circular locking|possible recursive locking"
    r"|inconsistent lock state|suspicious RCU usage|bad unlock balance|held lock freed|locks? still held)"
)


@dataclass
class Boot:
    """What came of a boot."""

    name: str
    checks: list = field(default_factory=list)  # (name, passed, remark)
    skipped: list = field(default_factory=list)
    numbers: dict = field(default_factory=dict)
    texts: dict = field(default_factory=dict)
    complaints: list = field(default_factory=list)
    section: str = ""  # while it has a name complaints are expected, and the console's lines are kept
    sections: dict = field(default_factory=dict)
    server: dict = field(default_factory=dict)
    finished: bool = False
    seconds: float = 0.0

    def line(self, line):
        """Takes note of a line of the console."""
        at = line.find("@MM ")
        if at < 0:
            if self.section:
                self.sections[self.section].append(line)
            elif COMPLAINT.search(line):
                self.complaints.append(line)
            return
        kind, _, rest = line[at + 4 :].partition(" ")
        if kind in ("ok", "FAILED"):
            name, _, remark = rest.partition(" # ")
            self.checks.append((name, kind == "ok", remark))
        elif kind == "skip":
            self.skipped.append(rest)
        elif kind == "number":
            name, _, value = rest.partition(" ")
            self.numbers[name] = float(value)
        elif kind == "text":
            name, _, value = rest.partition(" ")
            self.texts[name] = value
        elif kind == "section":
            self.section = rest
            if rest:
                self.sections.setdefault(rest, [])
        elif kind == "end":
            self.finished = True


def boot(name, work, root, server, initrd, profile, tests, pool="reusable", arguments="", limit=300, verbose=False,
         way=VfioUser, kernel=None):
    """Boots a guest that runs `tests` (names of the guest's init) with a device of `profile` at the end of `way`; gives a
    Boot. `kernel` is the image to boot; default: that of scripts/setup-kernel."""
    work = Path(work) / name
    work.mkdir(parents=True, exist_ok=True)
    summary, log = work / "server.json", work / "console.log"
    summary.unlink(missing_ok=True)
    tree = work / "guest.dtb"
    way = way(work)
    way.device_tree(tree, root, pool)
    result = Boot(name)
    begun = time.monotonic()
    with open(work / "server.log", "w") as server_log:
        device = subprocess.Popen(
            [server, *way.server(), "--profile", profile, "--window", f"{POOL:#x}:{POOL_BYTES:#x}",
             "--summary", summary],
            stdout=server_log, stderr=subprocess.STDOUT, pass_fds=way.pass_fds)
    try:
        if not way.ready(device):
            raise RuntimeError(f"the server ended: {(work / 'server.log').read_text()}")
        kernel = kernel or next(Path(root).glob("kernel/boot/vmlinuz-*-arm64"))
        command = [
            f"{root}/bin/{way.program}", *way.qemu(), "-no-reboot", "-dtb", tree, "-kernel", kernel, "-initrd", initrd, "-append",
            f"console={way.console} panic=-1 loglevel=5 mm.profile={profile} mm.tests={','.join(tests)} "
            f"mm.registers={way.registers:x} mm.way={way.name} {arguments}"]
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                pass_fds=way.pass_fds)
        # A guest that hangs is ended from outside; its console says how far it came.
        watchdog = threading.Timer(limit, qemu.kill)
        watchdog.start()
        try:
            with open(log, "wb") as out:
                for line in qemu.stdout:
                    out.write(line)
                    out.flush()
                    line = line.decode(errors="replace").rstrip()
                    if verbose:
                        print(f"  {time.monotonic() - begun:6.1f} {line}", flush=True)
                    result.line(line)
            qemu.wait()
        finally:
            watchdog.cancel()
            if qemu.poll() is None:
                qemu.kill()
        device.wait(timeout=60)
    finally:
        if device.poll() is None:
            device.kill()
        way.close()
    result.seconds = time.monotonic() - begun
    if summary.exists():
        result.server = json.loads(summary.read_text())
    host_checks(result, limit)
    return result


def host_checks(result, limit):
    """What only the host can see."""

    def check(name, passed, remark=""):
        result.checks.append((name, passed, "" if passed else remark))

    strays = result.server.get("stray_dma")
    check("the guest came to its end and powered off", result.finished,
          f"console.log ends before it, after {result.seconds:.0f} s of at most {limit}")
    check("no complaint in the kernel's log", not result.complaints, "; ".join(result.complaints[:3]))
    check("no DMA outside of the reserved memory", strays == 0, f"{strays} bursts: {result.server.get('strays')}")
    failure = result.server.get("failure", "no summary")
    check("no rule of the bus broken, no assertion of the RTL failed", failure is None, str(failure))
    if result.server.get("transport") == "polled-memory":
        lost = result.server.get("lost_stores")
        check("no store to a register is known to be lost", lost == 0, f"{lost} stores")
        # Else the plugin does not know the registers when it sees them.
        check("the guest waits after its stores to registers", (result.server.get("awaited_stores") or 0) > 100,
              f"{result.server.get('awaited_stores')} times")
    else:
        longest = result.server.get("longest_load_ms") or 0
        check("no load from a register took a second", longest < 1000, f"{longest} ms")
