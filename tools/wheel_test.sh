#!/usr/bin/env bash
# `pip install .` in a fresh virtual environment with a torch in it, and a look at what it installed.
#   WHEEL_TEST_TORCH=FOLDER  site-packages to take torch from (default: those of .venv) instead of a download
#   WHEEL_TEST_ISOLATED=1    as a user without a torch does: the build and the environment download their own
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python=$folder/venv/bin/python
install=(install --quiet --disable-pip-version-check)

if [ -n "${WHEEL_TEST_ISOLATED:-}" ]; then
  "$python" -m pip "${install[@]}" .
else
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  echo "${WHEEL_TEST_TORCH:-$PWD/.venv/${site#"$folder/venv/"}}" > "$site/torch_of_another.pth"
  "$python" -m pip "${install[@]}" --no-build-isolation --no-deps .
fi

cd "$folder" # away from the sources
"$python" - <<'PYTHON'
import importlib.metadata
import pathlib
import sys

import torch

import galvatron

package = pathlib.Path(galvatron.__file__).parent
assert str(package).startswith(sys.prefix), package
assert importlib.metadata.version("galvatron") == galvatron.__version__
model = galvatron.load("gpt2-tiny")
tokens = torch.zeros(1, 8, dtype=torch.long)
model(input_ids=tokens, labels=tokens)["loss"].backward()
assert len(galvatron.train("gpt2-tiny", steps=2, seq_length=16, precision="fp32")["losses"]) == 2
print("package:", *sorted(str(path.relative_to(package)) for path in package.glob("*") if path.suffix != ".py"))
PYTHON
"$folder/venv/bin/galvatron" --version
"$folder/venv/bin/galvatron" train --model gpt2-tiny --data synthetic --steps 2 --nproc 2 --precision fp32 --seq-length 16 > train.log
tail -n 1 train.log
"$python" - "$folder/venv/bin/galvatron" <<'PYTHON'
import gzip
import subprocess
import sys
import urllib.request

with subprocess.Popen([sys.argv[1], "visualize"], stdout=subprocess.PIPE, text=True) as server:
    address = server.stdout.readline().strip()
    page = gzip.decompress(urllib.request.urlopen(address, timeout=60).read()).decode()
    server.terminate()
assert "/assets/" in page, page
print("page:", address, f"{len(page)} characters")
PYTHON
"$folder/venv/bin/galvatron-data" --help > /dev/null
"$folder/venv/bin/galvatron-report" --help > /dev/null
echo "pip install . works"
