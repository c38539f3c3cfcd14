#!/usr/bin/env bash
# The wheel of this checkout in fresh virtual environments, and what it can there: beside torch and Lightning, and without.
#   WHEEL_TEST_TORCH=FOLDER  site-packages to take torch from (default: those of .venv) instead of a download
#   WHEEL_TEST_ISOLATED=1    as a user without a torch does: the build and the environment download their own
#   WHEEL_TEST_KIND=planner  the wheel of the planning half alone, which is compiled in a minute or two
set -euo pipefail
cd "$(dirname "$0")/.."
sources=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
quiet=(--quiet --disable-pip-version-check)

# make_environment NAME [FOLDER]: with what the site-packages FOLDER holds too.
make_environment() {
  python3 -m venv "$folder/$1"
  [ -z "${2:-}" ] || echo "$2" > "$("$folder/$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/of_another.pth"
}

# fails COMMAND...: its sentence is in said.log.
fails() {
  if "$@" 2> said.log; then
    echo "this should have failed: $*" >&2
    exit 1
  fi
}

build_wheel() {
  export GALVATRON_WHEEL=${WHEEL_TEST_KIND:-}
  if [ -n "${WHEEL_TEST_ISOLATED:-}${WHEEL_TEST_KIND:-}" ]; then
    make_environment build
    "$folder/build/bin/python" -m pip wheel "${quiet[@]}" --no-deps --wheel-dir "$folder" .
  else
    # c++, as `make` calls it: ccache finds the same objects.
    CXX=${CXX:-c++} .venv/bin/python -m pip wheel "${quiet[@]}" --no-build-isolation --no-deps --wheel-dir "$folder" .
  fi
  wheel=$(echo "$folder"/galvatron-*.whl)
}

# Without torch: questions are answered, and training says what it lacks.
test_planner() {
  make_environment planner
  local bin=$folder/planner/bin
  "$bin/python" -m pip install "${quiet[@]}" --no-deps "$wheel"
  "$bin/galvatron" --version
  "$bin/galvatron" search --model llama2-7b --cluster 8xA100-40G --global-batch 64 --output plan.json > search.log
  "$bin/galvatron" check plan.json > check.log
  fails "$bin/galvatron" train --model gpt2-tiny --data synthetic
  grep 'pip install' said.log
  fails "$bin/galvatron-data" stdlib --output stdlib
  grep 'pip install' said.log
  "$bin/galvatron-report" --help > /dev/null
  "$bin/python" - "$bin/galvatron" "${WHEEL_TEST_KIND:-}" <<'PYTHON'
import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys
import urllib.request

import galvatron

package = pathlib.Path(galvatron.__file__).parent
assert str(package).startswith(sys.prefix), package
assert importlib.metadata.version("galvatron") == galvatron.__version__
assert importlib.util.find_spec("torch") is None
found = galvatron.search("llama2-7b", cluster="8xA100-40G", global_batch=64)
assert found.plan.layers == galvatron.Plan.read("plan.json").layers
assert galvatron.simulate("llama2-7b", found.plan, cluster="8xA100-40G").fits
try:
    galvatron.train("gpt2-tiny")
    sys.exit("training without torch")
except ImportError as error:
    assert "pip install 'galvatron[train]'" in str(error), error
asked = [line for line in importlib.metadata.requires("galvatron") if "extra" not in line]
assert asked == ([] if sys.argv[2] else ["galvatron[train]"]), asked
with subprocess.Popen([sys.argv[1], "visualize"], stdout=subprocess.PIPE, text=True) as server:
    try:
        address = server.stdout.readline().strip()
        page = urllib.request.urlopen(address, timeout=60).read().decode()
    finally:
        server.terminate()
assert "/assets/" in page, page
print("without torch:", found, sep="\n")
print("page:", address, f"{len(page)} characters")
PYTHON
}

# Beside torch and Lightning: a model, training on one and two ranks, and README's example.
test_training() {
  if [ -n "${WHEEL_TEST_ISOLATED:-}" ]; then
    make_environment training
    "$folder/training/bin/python" -m pip install "${quiet[@]}" "$wheel[lightning]"
  else
    local site
    site=$("$sources/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    make_environment training "${WHEEL_TEST_TORCH:-$site}"
    "$folder/training/bin/python" -m pip install "${quiet[@]}" --no-deps "$wheel"
  fi
  local bin=$folder/training/bin
  "$bin/python" - <<'PYTHON'
import pathlib
import sys

import torch

import galvatron

package = pathlib.Path(galvatron.__file__).parent
assert str(package).startswith(sys.prefix), package
model = galvatron.load("gpt2-tiny")
tokens = torch.zeros(1, 8, dtype=torch.long)
model(input_ids=tokens, labels=tokens)["loss"].backward()
assert len(galvatron.train("gpt2-tiny", steps=2, seq_length=16, precision="fp32")["losses"]) == 2
print("package:", *sorted(str(path.relative_to(package)) for path in package.glob("*") if path.suffix != ".py"))
PYTHON
  "$bin/galvatron" train --model gpt2-tiny --data synthetic --steps 2 --nproc 2 --precision fp32 --seq-length 16 > train.log
  tail -n 1 train.log
  "$bin/galvatron-data" --help > /dev/null
  sed -n '/^from lightning.pytorch/,/^```/{/^```/!p}' "$sources/README.md" > example.py
  "$bin/python" example.py > example.log 2>&1 || { cat example.log; exit 1; }
}

build_wheel
cd "$folder" # away from the sources
test_planner
[ "${WHEEL_TEST_KIND:-}" = planner ] || test_training
echo "$(basename "$wheel") works"
