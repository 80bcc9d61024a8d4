# Functions to unpack Debian packages privately; sourced by scripts/setup-*, which set $root (where everything goes)
# and $name (what a skip is called). Nothing is installed: packages are downloaded with the host's own mirrors and
# keys, signatures checked, and unpacked.
# shellcheck shell=bash

skip() { echo "SKIPPED: $name: $*"; exit 3; }
say() { echo "setup-$name: $*"; }

# debian_host: skips where the packages' programs would not run; then mirrors and keys are the host's own.
debian_host() {
  local parts sources
  [ "$(uname -m)" = x86_64 ] || skip "expected a host of architecture x86_64, found $(uname -m)"
  command -v apt-get >/dev/null || skip "expected a Debian host; there is no apt-get here"
  # shellcheck disable=SC1091
  [ "$(. /etc/os-release; echo "${VERSION_CODENAME-}")" = bookworm ] ||
    skip "expected Debian 12 (bookworm), whose packages these are"
  eval "$(apt-config shell parts Dir::Etc::sourceparts/d)"
  sources=$parts/debian.sources
  [ -r "$sources" ] || skip "expected the host's package sources in $sources"
  field() { sed -n "s/^$1: *//p" "$sources" | sed -n "$2p"; }
  mirror=$(field URIs 1) security=$(field URIs 2) key=$(field Signed-By 1)
  [ -n "$mirror" ] && [ -n "$key" ] || skip "$sources names no mirror or no key"
  log=$root/setup-$name.log
  mkdir -p "$root"
  : >"$log"
}

# apt_root DIR ARCH SUITE...: a package database of its own for ARCH, under $root/apt/DIR; false if it cannot be had.
# Of other than Debian's binary packages if the caller sets mirror, key, kind or components.
apt_root() {
  local dir=$root/apt/$1 arch=$2 suite uri
  shift 2
  mkdir -p "$dir"/{etc/apt/apt.conf.d,etc/apt/preferences.d,etc/apt/sources.list.d,state/lists/partial,cache/archives/partial,log}
  : >"$dir/status"
  for suite in "$@"; do
    uri=$mirror
    [[ $suite = *-security ]] && uri=${security:-$mirror}
    echo "${kind:-deb} [arch=$arch signed-by=$key] $uri $suite ${components:-main}"
  done >"$dir/etc/apt/sources.list"
  cat >"$dir/apt.conf" <<CONF
Dir::Etc "$dir/etc/apt"; Dir::Etc::sourcelist "$dir/etc/apt/sources.list"; Dir::Etc::sourceparts "$dir/etc/apt/sources.list.d";
Dir::State "$dir/state"; Dir::State::status "$dir/status"; Dir::Cache "$dir/cache"; Dir::Log "$dir/log";
APT::Architecture "$arch"; APT::Architectures { "$arch"; }; APT::Install-Recommends "0"; APT::Sandbox::User "root";
Acquire::Languages "none"; Acquire::Retries "3"; Binary::apt-get::APT::Keep-Downloaded-Packages "1";
CONF
  APT_CONFIG=$dir/apt.conf apt-get -qq update >>"$log" 2>&1
}

# candidate DIR PACKAGE: the version that would be fetched.
candidate() { APT_CONFIG=$root/apt/$1/apt.conf apt-cache policy "$2" | sed -n 's/^ *Candidate: //p' | grep -v '^(none)$'; }

# depends DIR PACKAGE PATTERN: the first dependency whose name matches.
depends() { APT_CONFIG=$root/apt/$1/apt.conf apt-cache depends "$2" | sed -n "s/^ *Depends: \($3\)\$/\1/p" | head -n1; }

# fetch DIR INTO PACKAGE[=VERSION]...: these packages alone, downloaded to $root/INTO.debs; false if they cannot be had.
fetch() {
  local apt=$1 into=$root/$2
  shift 2
  mkdir -p "$into.debs"
  (cd "$into.debs" && APT_CONFIG=$root/apt/$apt/apt.conf apt-get -qq download "$@") >>"$log" 2>&1
}

# fetch_all DIR INTO APT-ARGUMENT...: these packages and all they depend on.
fetch_all() {
  local apt=$1 into=$root/$2
  shift 2
  mkdir -p "$into.debs/partial"
  APT_CONFIG=$root/apt/$apt/apt.conf apt-get -qq -y --download-only -o Dir::Cache::archives="$into.debs" install "$@" >>"$log" 2>&1
}

# unpack INTO [TAR-ARGUMENT...]: every package of $root/INTO.debs into $root/INTO, links of the merged /usr kept.
unpack() {
  local into=$root/$1 deb
  shift
  mkdir -p "$into"
  for deb in "$into".debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$into" --keep-directory-symlink "$@"
  done
  rm -rf "$into.debs"
}

# wrap NAME BODY: an executable shell script in $root/bin.
wrap() {
  mkdir -p "$root/bin"
  printf '#!/bin/sh\n%s\n' "$2" >"$root/bin/$1"
  chmod +x "$root/bin/$1"
}

# no FIRST...: ends with the log's last lines and a skip.
no() { tail -n3 "$log"; skip "$*"; }
