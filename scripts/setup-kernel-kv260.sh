# The KV260's own kernel: Ubuntu 22.04's Linux 5.15 for it, as far as a module and a device tree need it; sourced by
# scripts/setup-kernel. Ubuntu's headers for arm64 are not where its sources are, so the sources are prepared:
# its patches, its configuration without signatures and debug information. About 215 MB of packages, a minute of processor time.
# shellcheck shell=bash disable=SC2154

# Archive and keys of Ubuntu, as Debian's packages know them: so they are as trusted as those.
ubuntu_root() {
  apt_root keys-amd64 amd64 trixie || return 1
  rm -rf "$root"/ubuntu{,.debs}
  # Two packages of that name: the keys are in this one.
  fetch keys-amd64 ubuntu ubuntu-keyring && fetch kernel-amd64 ubuntu debootstrap && unpack ubuntu || return 1
  local mirror security='' key=$root/ubuntu/usr/share/keyrings/ubuntu-archive-keyring.gpg kind=deb-src components="main universe"
  mirror=${UBUNTU_MIRROR:-$(sed -n 's/^\tdefault_mirror //p' "$root/ubuntu/usr/share/debootstrap/scripts/jammy" | sed -n 2p)}
  [ -r "$key" ] && [ -n "$mirror" ] || { echo "expected Ubuntu's keys and archive in Debian's packages" >>"$log"; return 1; }
  apt_root ubuntu amd64 jammy jammy-updates
}

# The sources: some mirrors have the original archive under the name of Ubuntu's main kernel only. It is the same file:
# dpkg-source compares its checksum with that of the signed description.
kv260_unpack() {
  local get=(apt-get -qq source --only-source --download-only) sources=$root/kernel-kv260-sources dsc original
  rm -rf "$sources"
  mkdir -p "$sources"
  (
    cd "$sources" || exit 1
    export APT_CONFIG=$root/apt/ubuntu/apt.conf
    if ! "${get[@]}" linux-xilinx-zynqmp; then
      "${get[@]}" --tar-only linux || exit 1
      original=$(echo linux_*.orig.tar.gz)
      mv "$original" "linux-xilinx-zynqmp_${original#linux_}"
    fi
    dsc=$(echo linux-xilinx-zynqmp_*.dsc)
    # The description was verified by apt-get, with the index that names it.
    dpkg-source --no-check -x "$dsc" tree >/dev/null && cd tree && sh debian.zynqmp/reconstruct
  ) >>"$log" 2>&1
}

# Programs of the kernel's configuration, for this machine.
kv260_programs() {
  rm -rf "$root"/kconfig{,.debs}
  fetch_all kernel-amd64 kconfig flex bison bc m4 && unpack kconfig || return 1
  local lib=$root/kconfig/usr/lib/x86_64-linux-gnu:$root/kconfig/lib/x86_64-linux-gnu program
  for program in flex bison bc m4; do
    wrap "$program" "BISON_PKGDATADIR=$root/kconfig/usr/share/bison M4=$root/bin/m4 LD_LIBRARY_PATH=$lib exec $root/kconfig/usr/bin/$program \"\$@\""
  done
}

# What the kernel exports, as its sources say: a module that needs more does not link. Some exports are made by macros.
kv260_exports() {
  {
    grep -rhoE --include='*.[chS]' '\bEXPORT_SYMBOL(_GPL)?\(\w+\)' arch/arm64 block crypto drivers fs include init ipc kernel lib mm net security |
      sed -E 's/(EXPORT_SYMBOL(_GPL)?)\((\w+)\)/\3 \1/'
    grep -oE '^define_dev_printk_level\(\w+' drivers/base/core.c | sed 's/.*(//; s/$/ EXPORT_SYMBOL/'
    grep -oE '^STANDARD_PARAM_DEF\(\w+' kernel/params.c | sed 's/.*(/param_ops_/; s/$/ EXPORT_SYMBOL/'
  } | sort -u -k1,1 | awk '{ printf "0x00000000\t%s\tvmlinux\t%s\t\n", $1, $2 }'
}

# The board's device tree: module and carrier, with its labels.
kv260_tree() {
  local part
  for part in smk-k26-revA sck-kv-g-revB; do
    (cd arch/arm64/boot/dts/xilinx &&
      cross-gcc -E -nostdinc -undef -D__DTS__ -x assembler-with-cpp -I ../../../../../include -I . "zynqmp-$part.dts") |
      dtc -q -@ -I dts -O dtb -i arch/arm64/boot/dts/xilinx -o "../$part.dtb" - || return 1
  done
  fdtoverlay -i ../smk-k26-revA.dtb -o kv260.dtb ../sck-kv-g-revB.dtb
}

# Its configuration, but for what would need keys or programs of its own and changes nothing that a module sees.
kv260_prepare() (
  PATH=$root/bin:$PATH
  make=(make -s ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- "CC=$root/bin/cross-gcc")
  for tool in AR LD NM OBJCOPY OBJDUMP READELF STRIP; do make+=("$tool=$root/bin/cross-${tool,,}"); done
  cd "$root/kernel-kv260-sources/tree" &&
    python3 debian/scripts/misc/annotations -f debian.zynqmp/config/annotations --arch arm64 --flavour xilinx-zynqmp --export >config-ubuntu &&
    cp config-ubuntu .config &&
    scripts/config -d MODULE_SIG -d MODULE_SIG_ALL -d SYSTEM_TRUSTED_KEYRING -d SYSTEM_REVOCATION_LIST -d SECURITY_LOCKDOWN_LSM \
      -d INTEGRITY -d IMA -d EVM -d KEXEC_SIG -d CFG80211_REQUIRE_SIGNED_REGDB -d PKCS7_MESSAGE_PARSER -d DEBUG_INFO -d DEBUG_INFO_BTF &&
    "${make[@]}" olddefconfig && "${make[@]}" modules_prepare && kv260_exports >Module.symvers && kv260_tree
) >>"$log" 2>&1

# kv260: headers in kernel-kv260 (with kv260.dtb and Ubuntu's own configuration), as DKMS would find them on the board.
kv260() {
  local sources=$root/kernel-kv260-sources tree=$root/kernel-kv260-sources/tree
  ubuntu_root && kv260_unpack && kv260_programs && kv260_prepare && rm -rf "$root/kernel-kv260" && mkdir -p "$root"/kernel-kv260/{arch,ubuntu} &&
    mv "$tree"/{Makefile,.config,config-ubuntu,Module.symvers,kv260.dtb,include,scripts,tools} "$root/kernel-kv260/" &&
    mv "$tree/arch/arm64" "$root/kernel-kv260/arch/" && mv "$tree/ubuntu/include" "$root/kernel-kv260/ubuntu/" && rm -rf "$sources"
}
