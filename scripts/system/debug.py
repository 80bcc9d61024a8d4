"""The debug kernel's boots (scripts/system/debug.config): what they run, the module with planted bugs, and what each
checker must say of them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from machine import COMPLAINT

TEXT = ["text", "logits"]
# What is wrong before the console works is told by the early one.
ARGUMENTS = "mm.debug earlycon=pl011,0x9000000 kasan_multi_shot kmemleak=on page_poison=1 printk.devkmsg=on"
# As BOOTS of scripts/system-test. What comes of `books` is about everything that was run before it.
BOOTS = {
    "debug-paper": ("paper", [*TEXT, "traps", "doctor", "kernel", "errors", "kill", "unbind", "sharing", "reload", "fuzz", "fail",
                              "books"], "reusable", ARGUMENTS),
    "debug-kv260": ("kv260", [*TEXT, "doctor", "kernel", "errors", "sharing", "fail", "books"], "reusable", ARGUMENTS),
    "debug-bounce": ("kv260", [*TEXT, "doctor", "kernel", "fuzz", "books"], "reusable", f"swiotlb=force {ARGUMENTS}"),
    "debug-nomap": ("paper", [*TEXT, "doctor", "kernel", "fail", "books"], "no-map", ARGUMENTS),
    # A device that is given up keeps its memory: the book of DMA is not empty then.
    "debug-hang": ("paper", [*TEXT, "given_up", "books"], "reusable", ARGUMENTS),
    # A complaint of KASAN ends lockdep's work: those of locks come first.
    "debug-planted": ("paper", ["plants"], "reusable", ARGUMENTS),
}
PLANTED = "debug-planted"
# What must be said: of each planted bug (scripts/system/planted.c), in the order in which they are loaded.
PLANTS = {
    "order": r"possible circular locking",
    "sleep": r"BUG: sleeping function called from invalid context",
    "dma-leak": r"book of DMA: [1-9]\d* left",
    "dma-sync": r"DMA-API: .*(sync DMA memory it has not allocated|outside allocated range)",
    "leak": r"unreferenced object",
    "shift": r"UBSAN: shift-out-of-bounds",
    "index": r"UBSAN: array-index-out-of-bounds",
    "refcount": r"refcount_t: addition on 0",
    "list": r"list_add double add|list_add corruption",
    "object": r"ODEBUG: free active",
    "overrun": r"BUG: KASAN: slab-out-of-bounds in plant_overrun",
    "use-after-free": r"BUG: KASAN: (slab-)?use-after-free in plant_use_after_free",
}


def planted_module(root, scratch, sysroots, headers):
    """Builds the module with the planted bugs; gives its path."""
    copy, out = Path(scratch) / "planted", Path(scratch) / "planted-out"
    shutil.rmtree(copy, ignore_errors=True)
    for folder in ("driver/kernel", "scripts"):
        shutil.copytree(root / folder, copy / folder)
    driver = copy / "driver/kernel"
    shutil.copy(root / "scripts/system/planted.c", driver / "macromac_planted.c")
    edit(driver / "Kbuild", "macromac_debugfs.o", "macromac_debugfs.o macromac_planted.o")
    edit(driver / "macromac_drv.c", "\terr = macromac_selftest(mm);",
         "\tvoid macromac_planted(struct macromac *mm);\n\n\tmacromac_planted(mm);\n\terr = macromac_selftest(mm);")
    subprocess.run([copy / "scripts/kernel-build"], cwd=copy, check=True,
                   env={**os.environ, "AARCH64_SYSROOTS": str(sysroots), "KERNEL_HEADERS": str(headers), "OUT": str(out)})
    module = Path(scratch) / "macromac-planted.ko"
    shutil.copy(out / "macromac.ko", module)
    return module


def edit(path, old, new):
    text = path.read_text()
    if text.count(old) != 1:
        raise SystemExit(f"system-test: error: {path.name}: expected {old!r} once, found it {text.count(old)} times")
    path.write_text(text.replace(old, new))


def plant_checks(result):
    """Adds a check for each planted bug: its checker has seen it. Of other boots it adds none."""
    for name, expected in PLANTS.items() if result.name == PLANTED else ():
        said = result.sections.get(name, [])
        complaints = [line for line in said if COMPLAINT.search(line)]
        result.checks.append((f"planted bug `{name}` is seen by its checker", any(re.search(expected, line) for line in said),
                              f"expected {expected!r}, found {complaints[:3]}"))
