"""What the documentation and the example show runs."""

from __future__ import annotations

import re
import subprocess
import sys

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
