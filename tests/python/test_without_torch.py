"""Planning where there is no torch, nor any other package: what a wheel's base gives (docs/design/packages.md)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from package_testing import BUILD, ROOT, needs_module

pytestmark = needs_module

HIDDEN = ("torch", "numpy", "pyarrow", "tokenizers", "tqdm", "lightning")


def run(program: str, hidden: tuple[str, ...] = HIDDEN) -> str:
    hide = f"import sys\nfor name in {hidden}: sys.modules[name] = None\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "GALVATRON_BINARY_DIR": str(BUILD)}
    command = [sys.executable, "-c", hide + program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_questions_are_answered(tmp_path):
    said = run(f"""
import galvatron
found = galvatron.search("llama2-7b", cluster="8xA100", global_batch=64)
found.plan.write({str(tmp_path / "plan.json")!r})
print(galvatron.simulate("llama2-7b", {str(tmp_path / "plan.json")!r}, cluster="8xA100").fits)
print(galvatron.Plan.uniform("gpt2-tiny", world_size=2).precision)  # nobody sees a GPU here
print(len(galvatron.models()) == len(galvatron.preset_names()) > 50, "H100" in galvatron.clusters()["devices"])
print("train" in dir(galvatron), "search" in dir(galvatron))
""")
    assert said.splitlines() == ["True", "fp32", "True True", "False True"]


@pytest.mark.parametrize("name", ["train", "evaluate", "load", "from_pretrained", "Model"])
def test_what_needs_torch_says_what_to_install(name):
    program = f"""
import galvatron
try:
    galvatron.{name}
except ImportError as error:
    print(error)
"""
    wanted = f"galvatron.{name} needs torch, which is not installed: pip install 'galvatron[train]'"
    assert run(program).splitlines() == [wanted]


def test_the_data_tool_says_what_to_install():
    said = run("from galvatron.command_line import data_tool\nprint(data_tool())")
    assert "galvatron-data needs numpy, which is not installed: pip install 'galvatron[data]'" in said
    assert said.startswith("2\n")


def test_planning_does_not_load_a_torch_that_is_there():
    run("import galvatron\ngalvatron.search('gpt2-tiny', cluster='8xA100')\nassert 'torch' not in sys.modules", ())
