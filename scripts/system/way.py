"""The two ways between the guest and the simulated device (docs/system-test.md): the machine of QEMU, how the device's server
and QEMU meet, and the device tree of it."""

import json
import os
import subprocess
import time
from pathlib import Path

# Makes the guest wait for the server.
PLUGIN = Path(__file__).resolve().parent.parent.parent / "sim/qemu/plugin/wait.c"
# Memory reserved for the accelerator.
POOL = 0x50000000
POOL_BYTES = 64 << 20
# Where Linux puts the first BAR of the only PCI device of QEMU's `virt`, and the GIC's number of its INTA.
BAR = 0x10000000
INTA_SPI = 4


def compile_tree(root, source, path):
    """Writes the device tree `source` and its blob `path`."""
    text = f"{path}.dts"
    with open(text, "w") as out:
        out.write(source)
    subprocess.run([f"{root}/bin/dtc", "-q", "-I", "dts", "-O", "dtb", text, "-o", path], check=True)


def accelerator(registers, interrupt, pool, more=""):
    """The nodes of the accelerator and of its memory; `pool` says how that is reserved: reusable or no-map."""
    return f"""
/ {{
  reserved-memory {{
    #address-cells = <2>; #size-cells = <2>; ranges;
    pool: macromac@{POOL:x} {{
      compatible = "shared-dma-pool";
      reg = <0x0 {POOL:#x} 0x0 {POOL_BYTES:#x}>;
      {pool};
    }};{more}
  }};
  macromac@{registers:x} {{
    compatible = "macromac,macromac-1.0";
    reg = <0x0 {registers:#x} 0x0 0x2000>;
    interrupts = <{interrupt}>;
    memory-region = <&pool>;
  }};
}};
"""


class VfioUser:
    """QEMU >= 10.1, machine `virt`: every access is a message to the server, the interrupt is a level."""

    name = "vfio-user"
    program = "qemu-system-aarch64"
    ram = "512M"
    machine = ["-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", ram, "-nographic"]
    registers = BAR
    console = "ttyAMA0"
    pass_fds = ()

    def __init__(self, work):
        self.socket = work / "device.sock"
        self.socket.unlink(missing_ok=True)

    def server(self):
        return ["--socket", self.socket]

    def ready(self, device):
        """Waits until QEMU can be started; false: the server has ended."""
        while not self.socket.exists():
            if device.poll() is not None:
                return False
            time.sleep(0.05)
        return True

    def device_tree(self, path, root, pool):
        """QEMU's own tree for the machine, with the accelerator added."""
        blob = f"{path}.virt"
        machine = [f"{arg},dumpdtb={blob}" if before == "-M" else arg
                   for before, arg in zip(["", *self.machine], self.machine)]
        subprocess.run([f"{root}/bin/{self.program}", *machine], check=True, capture_output=True)
        own = subprocess.run([f"{root}/bin/dtc", "-q", "-I", "dtb", "-O", "dts", blob], check=True, capture_output=True)
        compile_tree(root, own.stdout.decode() + accelerator(BAR, f"0 {INTA_SPI} 4", pool), path)

    def qemu(self):
        """Arguments of QEMU that make machine and device."""
        plug = {"driver": "vfio-user-pci", "x-msg-timeout": 60000, "socket": {"type": "unix", "path": str(self.socket)}}
        return [*self.machine, "-nic", "none", "-object", f"memory-backend-memfd,id=mem,size={self.ram},share=on",
                "-machine", "memory-backend=mem", "-device", json.dumps(plug)]

    def close(self):
        pass


class PolledMemory:
    """QEMU 7.2, machine `xlnx-zcu102`: registers are RAM that the server looks at, the interrupt is an edge by QEMU's qtest."""

    name = "polled-memory"
    program = "qemu-7.2-system-aarch64"
    # The machine takes no less, and the guest uses what its tree names.
    ram = 2 << 30
    guest_ram = 0x60000000
    registers = 0x4F000000
    # An interrupt from the fabric, pl_ps_irq0[0]; the GIC's inputs begin with the first shared one.
    spi = 89
    line = f"/machine/soc/gic unnamed-gpio-in {spi}"
    console = "ttyPS0"

    def __init__(self, work):
        self.plugin = work / "wait.so"
        subprocess.run(["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", "-o",
                        self.plugin, PLUGIN], check=True)
        self.socket = work / "qtest.sock"
        self.socket.unlink(missing_ok=True)
        # RAM is a file without a name, which QEMU and the server both get.
        self.file = os.memfd_create("guest-ram", 0)
        os.ftruncate(self.file, self.ram)
        self.pass_fds = (self.file,)

    def server(self):
        return ["--ram", f"/proc/self/fd/{self.file}", "--registers", f"{self.registers:#x}", "--qtest", self.socket,
                "--interrupt", self.line]

    def ready(self, device):
        """The server waits for QEMU."""
        return device.poll() is None

    def device_tree(self, path, root, pool):
        """QEMU makes none for this machine."""
        registers = f"""
    registers@{self.registers:x} {{
      reg = <0x0 {self.registers:#x} 0x0 0x4000>;
      no-map;
    }};"""
        compile_tree(root, ZCU102.format(ram=self.guest_ram)
                     + accelerator(self.registers, f"0 {self.spi} 1", pool, registers), path)

    def qemu(self):
        """Arguments of QEMU that make machine and device."""
        memory = f"memory-backend-file,id=mem,size={self.ram},mem-path=/proc/self/fd/{self.file},share=on"
        return ["-M", "xlnx-zcu102,memory-backend=mem", "-audiodev", "none,id=none", "-m", f"{self.ram >> 20}M", "-accel", "tcg",
                "-nographic", "-nic", "none", "-object", memory, "-qtest", f"unix:{self.socket},server=on,wait=off",
                "-qtest-log", "/dev/null", "-plugin",
                f"file={self.plugin},ram=/proc/self/fd/{self.file},registers={self.registers:#x}"]

    def close(self):
        os.close(self.file)


# Two of the processors, the GIC-400, the first UART, and a clock for it that is fixed: there is no firmware to ask for one.
ZCU102 = """/dts-v1/;
/ {{
  compatible = "xlnx,zynqmp-zcu102", "xlnx,zynqmp";
  #address-cells = <2>; #size-cells = <2>;
  interrupt-parent = <&gic>;
  chosen {{ }};
  aliases {{ serial0 = &uart; }};
  cpus {{
    #address-cells = <1>; #size-cells = <0>;
    cpu@0 {{ device_type = "cpu"; compatible = "arm,cortex-a53"; reg = <0>; enable-method = "psci"; }};
    cpu@1 {{ device_type = "cpu"; compatible = "arm,cortex-a53"; reg = <1>; enable-method = "psci"; }};
  }};
  psci {{ compatible = "arm,psci-0.2"; method = "smc"; }};
  memory@0 {{ device_type = "memory"; reg = <0 0 0 {ram:#x}>; }};
  timer {{
    compatible = "arm,armv8-timer";
    interrupts = <1 13 0xf08>, <1 14 0xf08>, <1 11 0xf08>, <1 10 0xf08>;
  }};
  clock: clock {{ compatible = "fixed-clock"; #clock-cells = <0>; clock-frequency = <100000000>; }};
  gic: interrupt-controller@f9010000 {{
    compatible = "arm,gic-400"; #interrupt-cells = <3>; interrupt-controller;
    reg = <0 0xf9010000 0 0x10000>, <0 0xf9020000 0 0x20000>, <0 0xf9040000 0 0x20000>, <0 0xf9060000 0 0x20000>;
    interrupts = <1 9 0xf04>;
  }};
  uart: serial@ff000000 {{
    compatible = "cdns,uart-r1p12"; reg = <0 0xff000000 0 0x1000>; interrupts = <0 21 4>;
    clock-names = "uart_clk", "pclk"; clocks = <&clock>, <&clock>;
  }};
}};
"""
