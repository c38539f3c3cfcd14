"""What the documentation and the example show runs."""

from __future__ import annotations

import gc
import re
import subprocess
import sys

import pytest
import torch
from launching import LIMIT, ROOT, rank_environment
from package_testing import needs_module
from transformers import AutoModelForCausalLM

pytestmark = needs_module


def test_every_block_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/lightning.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/lightning.md", "exec"), namespace)
    assert len(namespace["logits"]) == 4
    assert AutoModelForCausalLM.from_pretrained("gpt2-mine").config.model_type == "gpt2"


@pytest.mark.parametrize("launcher", [[], ["-m", "torch.distributed.run", "--nproc-per-node", "2"]])
def test_the_example_of_readme_runs_as_it_stands(tmp_path, launcher):
    """Lightning starts the second rank, or torchrun does."""
    (example,) = re.findall(
        r"^```python\n(from lightning.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "example.py").write_text(example)
    done = subprocess.run(
        [sys.executable, *launcher, "example.py"], cwd=tmp_path, env=rank_environment(), capture_output=True, text=True,
        timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MEMBER: 2/2" in done.stdout + done.stderr


def test_an_engine_is_left_when_the_next_is_made():
    """Not when Python collects its Trainer: ranks would wait for each other at different places."""
    from lightning.pytorch import Trainer
    from run_cases import QUIET
    from torch.utils.data import DataLoader

    from galvatron.lightning import GalvatronModule, GalvatronStrategy, strategy

    def validate() -> set[int]:
        trainer = Trainer(strategy=GalvatronStrategy(), devices=1, **QUIET)
        trainer.validate(GalvatronModule("gpt2-tiny"), DataLoader([torch.arange(8)], batch_size=1), verbose=False)
        return set(strategy._engines)

    validate()
    first = validate()  # those of other tests are gone
    gc.collect()
    assert set(strategy._engines) == first
    second = validate()
    assert len(second) == len(first) == 1
    assert second != first


def test_the_example_starts_its_ranks_and_goes_on(tmp_path):
    """Lightning starts the second rank; a second run goes on from the first one's end."""
    script = [sys.executable, str(ROOT / "examples/lightning/train_gpt.py"), "--devices", "2", "--accelerator", "cpu"]
    script += ["--pp", "2", "--batch-size", "32", "--run-dir", str(tmp_path / "run")]
    said = []
    for epochs in ("1", "2"):
        done = subprocess.run(
            [*script, "--epochs", epochs], env=rank_environment(), capture_output=True, text=True, timeout=LIMIT,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout + done.stderr)
    assert "Restored all states from the checkpoint" in said[1]
    assert (tmp_path / "run/checkpoints/last.ckpt/meta.pt").is_file()
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "run/weights").config.n_layer > 0
