"""What a guest boots with: an initramfs."""

import gzip
import os
import stat
from pathlib import Path


class Initramfs:
    """A cpio archive (newc), written without root: device nodes and owners are what the archive says."""

    def __init__(self):
        self.blob = bytearray()
        self.number = 0

    def entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.number += 1
        path = name.encode() + b"\0"
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(path), 0]
        self.blob += b"070701" + b"".join(b"%08x" % field for field in fields) + path
        self.blob += bytes(-len(self.blob) % 4) + data
        self.blob += bytes(-len(self.blob) % 4)

    def directory(self, name):
        self.entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, source, mode=0o755):
        self.entry(name, stat.S_IFREG | mode, Path(source).read_bytes())

    def text(self, name, text):
        self.entry(name, stat.S_IFREG | 0o644, text.encode())

    def link(self, name, to):
        self.entry(name, stat.S_IFLNK | 0o777, to.encode())

    def device(self, name, major, minor):
        self.entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def write(self, path):
        self.entry("TRAILER!!!", 0)
        Path(path).write_bytes(gzip.compress(bytes(self.blob), 1))


def initramfs(path, root, programs, models, files=()):
    """Busybox, the programs with the C library they need, `init`, the model folders and `files` (at the root), as a file
    at `path`."""
    archive = Initramfs()
    libraries = Path(root) / "tools/usr/aarch64-linux-gnu/lib"
    for name in ["bin", "dev", "etc", "lib", "models", "proc", "sys", "tmp"]:
        archive.directory(name)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.file("bin/busybox", Path(root) / "kernel/bin/busybox")
    archive.link("bin/sh", "busybox")
    archive.text("etc/passwd", "root:x:0:0::/tmp:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
    archive.text("etc/group", "root:x:0:\nuser:x:1000:\n")
    archive.file("init", Path(__file__).with_name("init"))
    for name in ["ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1"]:
        archive.file(f"lib/{name}", libraries / name)
    for file in files:
        archive.file(Path(file).name, file, 0o644)
    for program in programs:
        archive.file(f"bin/{Path(program).name}", program)
    for name, folder in models.items():
        archive.directory(f"models/{name}")
        for file in sorted(os.listdir(folder)):
            archive.file(f"models/{name}/{file}", Path(folder) / file, 0o644)
    archive.write(path)
