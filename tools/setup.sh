#!/usr/bin/env bash
# Everything a fresh Debian or Ubuntu machine with a C++20 compiler and Python 3.10+ needs, done once.
#   tools/setup.sh run      to build and train
#   tools/setup.sh test     what the tests need too
#   tools/setup.sh planner  the planning half alone: no torch
#   tools/setup.sh docs     the docs as a site: .venv-docs alone, no compiler, no torch
# A second run finds its stamps and ends at once.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-run}

system_packages=(g++ make git ccache mold ninja-build nlohmann-json3-dev libfmt-dev libcli11-dev libgtest-dev libbenchmark-dev libxxhash-dev libboost-dev)

# Cores and NUMA nodes, for the training half.
training_packages=(libhwloc-dev)
# The page's tests look at it in a browser, in Chinese too.
browser_packages=(chromium fonts-noto-cjk)
# Launchers that the tests start for themselves. The services that come with them stay off.
launcher_packages=(slurm-wlm munge openmpi-bin openssh-client openssh-server)
launcher_services=(openssh-server:ssh munge:munge slurm-wlm:slurmctld slurm-wlm:slurmd)

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

install_system_packages() {
  command -v dpkg-query >/dev/null || {
    say "not a Debian or Ubuntu machine: libraries that are missing will be fetched by CMake"
    return 0
  }
  local missing=() launchers=()
  [ "$purpose" = docs ] || list_missing missing "${system_packages[@]}"
  [ "$purpose" = planner ] || [ "$purpose" = docs ] || list_missing missing "${training_packages[@]}"
  [ "$purpose" = test ] && list_missing launchers "${launcher_packages[@]}"
  [ "$purpose" = test ] && { command -v chromium >/dev/null || list_missing missing "${browser_packages[@]}"; }
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  if [ "$purpose" = test ]; then
    python3 -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' || missing+=(python3-dev)
  fi
  ((${#missing[@]} + ${#launchers[@]})) || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    elif ! ((${#missing[@]})); then
      say "not installed, because that needs root: ${launchers[*]}. Tests of these launchers are skipped"
      return 0
    else
      echo "These system packages are missing and need root. Run this, then run make again:" >&2
      echo "  sudo apt-get update && sudo apt-get install -y ${missing[*]}" >&2
      exit 2
    fi
  fi
  missing+=("${launchers[@]}")
  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  leave_services_alone "${missing[@]}"
}

# list_missing ARRAY PACKAGE...: adds to ARRAY those that are not installed.
list_missing() {
  local -n found=$1
  local package
  for package in "${@:2}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || found+=("$package")
  done
}

# No server of packages that were just installed may listen because of our tests, now or after the next start.
leave_services_alone() {
  command -v systemctl >/dev/null || return 0
  local entry
  for entry in "${launcher_services[@]}"; do
    [[ " $* " = *" ${entry%:*} "* ]] && "${as_root[@]}" systemctl disable --now --quiet "${entry#*:}" 2>/dev/null || true
  done
}

check_versions() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "Python 3.10 or newer is needed, python3 is $(python3 --version)" >&2
    exit 2
  }
}

# requirements file, options of pip's -> installed once per content.
install_requirements() {
  local stamp
  stamp=.venv/.installed-$1-$(sha256sum "$1" | cut -c1-16)
  [ -e "$stamp" ] && return 0
  say "installing $1 into .venv (the first time this downloads torch)"
  .venv/bin/pip install --quiet --disable-pip-version-check "${@:2}" -r "$1"
  touch "$stamp"
}

# What builds the docs stays apart from what trains: its pins hold every package, with hashes.
install_docs() {
  local stamp
  stamp=.venv-docs/.installed-$(sha256sum requirements-docs.txt | cut -c1-16)
  [ -e "$stamp" ] && return 0
  say "installing requirements-docs.txt into .venv-docs"
  python3 -m venv --clear .venv-docs
  .venv-docs/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.txt
  touch "$stamp"
}

install_package() {
  local stamp
  stamp=.venv/.package-$(sha256sum pyproject.toml | cut -c1-16)
  [ -e "$stamp" ] && return 0
  # The Python side alone (pyproject.toml): the C++ side is built by make.
  .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
  touch "$stamp"
}

install_system_packages
check_versions
[ "$purpose" = docs ] || [ "$purpose" = test ] && install_docs
[ "$purpose" = docs ] && exit 0
[ -x .venv/bin/python ] || { say "making .venv"; python3 -m venv .venv; }
if [ "$purpose" = planner ]; then
  [ -x .venv/bin/cmake ] || .venv/bin/pip install --quiet --disable-pip-version-check $(grep -E '^(cmake|ninja)==' requirements.txt)
  exit 0
fi
install_requirements requirements.txt
if [ "$purpose" = test ]; then
  install_requirements requirements-dev.txt
  install_requirements requirements-lightning.txt --no-deps --require-hashes
  install_requirements requirements-metrics.txt --no-deps --require-hashes
fi
install_package
exit 0
