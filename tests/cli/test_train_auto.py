"""One command from nothing: train --plan auto."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from conftest import BINARY, clean_environment, losses

AUTO = ["train", "--model", "gpt2-tiny", "--seq-length", 32, "--precision", "fp32", "--data", "synthetic", "--steps", 2]
AUTO += ["--nproc", 2, "--plan", "auto", "--run-dir", "run", "--cache-dir", "cache"]


def plan_precision(folder: Path) -> str:
    return json.loads((folder / "run" / "plan.json").read_text())["precision"]


def test_profiles_searches_and_trains(galvatron, tmp_path: Path):
    result = galvatron(*AUTO, "--memory", "1GiB")
    assert result.returncode == 0, result.stderr
    assert len(losses(tmp_path / "run" / "metrics.jsonl")) == 2
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["world_size"] == 2
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["step_seconds"]["predicted"] > 0
    assert all(rank["predicted_memory_bytes"] > 0 for rank in summary["ranks"])
    profiles = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert len(profiles) == 2

    # The profiles are there now; in a kibibyte nothing fits.
    result = galvatron(*AUTO, "--memory", "1KiB", "--run-dir", "second")
    assert result.returncode == 3
    assert "nothing fits in 1.00 KiB" in result.stdout
    assert result.stderr.count("using cache/") == 2

    # Another number of layers is another model: profiled, searched and trained as such.
    result = galvatron(*AUTO, "--memory", "1GiB", "--num-layers", 1, "--run-dir", "third")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "third" / "plan.json").read_text())["model"] == "gpt2-tiny(num_layers=1)"
    assert result.stderr.count("using cache/") == 1

    # What an earlier run's parts have over their prediction.
    hardware = json.loads(next((tmp_path / "cache").glob("hardware-*")).read_text())
    origin = {"run": "run", "device": hardware["device"], "world_size": 2, "precision": plan_precision(tmp_path)}
    calibration = {"format": "galvatron-calibration", "version": 1, "origin": origin, "factors": {"backward": 3.0}}
    (tmp_path / "calibration.json").write_text(json.dumps(calibration))
    result = galvatron(*AUTO, "--memory", "1GiB", "--calibration", "calibration.json", "--run-dir", "fourth")
    assert result.returncode == 0, result.stderr
    plan = json.loads((tmp_path / "fourth" / "plan.json").read_text())
    assert plan["search"]["prediction"]["calibration"] == {"backward": 3.0}

    # The plan is searched for the optimizer that trains, and foretells only that.
    result = galvatron(*AUTO, "--memory", "1GiB", "--optimizer", "sgd", "--run-dir", "second")
    assert result.returncode == 0, result.stderr
    plan = json.loads((tmp_path / "second" / "plan.json").read_text())
    assert plan["search"]["prediction"]["optimizer"] == "sgd"
    result = galvatron(*AUTO, "--plan", "second/plan.json", "--run-dir", "other")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "other" / "summary.json").read_text())["step_seconds"].get("predicted") is None


def test_profiles_are_of_the_classes_that_are_learned(galvatron, tmp_path: Path):
    swapped = {"gpt2-tiny": "vit-tiny", "--seq-length": "--num-classes", 32: 7}
    result = galvatron(*(swapped.get(word, word) for word in AUTO), "--memory", "1GiB")
    assert result.returncode == 0, result.stderr
    profile = json.loads(next((tmp_path / "cache").glob("model-vit-tiny-*")).read_text())
    assert profile["layer_types"][-1]["shapes"]["vocab_size"] == 7
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["step_seconds"]["predicted"] > 0


def test_refresh_measures_again(galvatron, tmp_path: Path):
    assert galvatron(*AUTO, "--memory", "1GiB").returncode == 0
    profiles = sorted((tmp_path / "cache").iterdir())
    provenance = [json.loads(path.read_text())["provenance"] for path in profiles]
    assert all(entry["cores"] > 0 and entry["other_load"] >= 0 and entry["spread"] >= 0 for entry in provenance)
    for path, entry in zip(profiles, provenance, strict=True):
        old = {**entry, "date": "2020-01-01T00:00:00Z", "other_load": 100 * entry["cores"]}
        path.write_text(json.dumps({**json.loads(path.read_text()), "provenance": old}))
    result = galvatron(*AUTO, "--memory", "1GiB", "--run-dir", "second")
    assert result.stderr.count("days ago)") == 2
    assert result.stderr.count("the machine was busy: --refresh measures again") == 2
    result = galvatron(*AUTO, "--memory", "1GiB", "--refresh", "--run-dir", "third")
    assert result.returncode == 0, result.stderr
    assert "using cache/" not in result.stderr
    assert all(not json.loads(path.read_text())["provenance"]["date"].startswith("2020") for path in profiles)


def test_under_torchrun_its_ranks_measure_together(tmp_path: Path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python", "--nproc-per-node", "2"]
    nproc = AUTO.index("--nproc")
    arguments = [*AUTO[:nproc], *AUTO[nproc + 2 :], "--memory", "1GiB"]
    command = [*torchrun, BINARY, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["world_size"] == 2
    assert len(losses(tmp_path / "run" / "metrics.jsonl")) == 2
    names = [path.name for path in (tmp_path / "cache").iterdir()]
    assert sum(name.startswith("hardware-") and "2ranks.json" in name for name in names) == 1
    assert sum(name.startswith("model-") for name in names) == 1


def test_auto_starts_its_own_ranks(galvatron, tmp_path: Path):
    two = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    result = galvatron(*AUTO, **two)
    assert result.returncode == 2
    assert "--plan auto starts the ranks itself" in result.stderr


def test_refresh_belongs_to_auto(galvatron):
    result = galvatron("train", "--model", "gpt2-tiny", "--data", "synthetic", "--refresh")
    assert result.returncode == 2
    assert "--refresh belongs to --plan auto" in result.stderr


def test_calibration_belongs_to_auto(galvatron):
    result = galvatron("train", "--model", "gpt2-tiny", "--data", "synthetic", "--calibration", "run.json")
    assert result.returncode == 2
    assert "--calibration belongs to --plan auto" in result.stderr


def test_memory_belongs_to_auto(galvatron):
    result = galvatron("train", "--model", "gpt2-tiny", "--data", "synthetic", "--memory", "1GiB")
    assert result.returncode == 2
    assert "--memory is the budget of --plan auto" in result.stderr


def test_nothing_goes_on_without_its_parent(start, tmp_path: Path):
    job = start(*AUTO)
    mark = str(tmp_path)
    deadline = time.monotonic() + 30
    while len(processes_in(mark)) < 2:
        assert time.monotonic() < deadline and job.poll() is None
        time.sleep(0.05)
    job.terminate()
    job.communicate(timeout=30)
    while processes_in(mark):
        assert time.monotonic() < deadline + 30
        time.sleep(0.05)


def processes_in(folder: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.joinpath("cwd").readlink() == Path(folder):
                found.append(int(path.name))
        except OSError:  # it has just ended
            continue
    return found
