"""The examples in their small form, as their first lines say to run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from package_testing import BUILD, LAUNCH_VARIABLES, ROOT, needs_module

pytestmark = needs_module

EXAMPLES = ROOT / "examples"
# What each says when it has learned.
SAYS = {
    "gpt_text.py": r"perplexity on text that was held out: \d",
    "bert_masked.py": r"B +zero3 full",
    "t5_spans.py": r"step 20: loss [\d.]+, [\d.]+ on text",
    "vit_images.py": r"(?:[789]\d|100)\.\d% of 359 pictures",
}
NOTEBOOK = """
import ast, json, sys
sys.modules["torch"] = None  # nothing of it may be needed
shown, names = [], {}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] != "code":
        continue
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        if value is not None:
            shown.append(value._repr_html_())
assert len(shown) == 5 and all(shown), shown
"""


def run(folder: Path, *command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in LAUNCH_VARIABLES}
    environment |= {
        "PYTHONPATH": str(ROOT / "python"), "GALVATRON_BINARY_DIR": str(BUILD), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def small_form(example: Path) -> list[list[str]]:
    """The commands of its header below "In small form", for this Python."""
    header = example.read_text().split('"""')[1]
    lines = re.findall(r"^    (\S.*)$", header[header.index("In small form") :], re.MULTILINE)
    modules = {"galvatron-data": ["-m", "galvatron.data"], "torchrun": ["-m", "torch.distributed.run"], "python": []}
    commands = [shlex.split(line.replace("examples/", f"{EXAMPLES}/")) for line in lines]
    return [[sys.executable, *modules[program], *words] for program, *words in commands]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.mark.parametrize("name", SAYS)
def test_small_forms_run(folder, name):
    *before, last = small_form(EXAMPLES / name)
    for command in before:
        if not (folder / "corpus/small.idx").exists():  # the same for all
            run(folder, *command)
    said = run(folder, *last)
    assert re.search(SAYS[name], said), said


def test_the_notebook_runs_without_torch(folder):
    run(folder, sys.executable, "-c", NOTEBOOK, str(EXAMPLES / "plan_without_devices.ipynb"))
    assert json.loads((folder / "plan.json").read_text())["world_size"] == 8


def test_none_is_forgotten():
    """What is here is run here, in tests/python/lightning, or in tests/cli (launch/)."""
    here = {path.name for path in EXAMPLES.glob("*.*")}
    assert here == {*SAYS, "plan_without_devices.ipynb", "README.md"}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {"launch", "lightning"}
