"""The binary as a whole: which half of it a command loads."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY, clean_environment

SEARCH = ["search", "--model", "gpt2", "--cluster", "8xA100", "--global-batch", 16]


def loaded_libraries(start, *arguments: object) -> str:
    """What the dynamic linker says about every file that it opens."""
    process = start(*arguments, LD_DEBUG="files")
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log[-2000:]
    return log


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["search", "--help"],
        ["simulate", "--help"],
        ["check", "--help"],
        ["convert", "--help"],
        ["models"],
        SEARCH,
    ],
)
def test_planning_loads_no_torch(start, arguments):
    log = loaded_libraries(start, *arguments)
    assert "libstdc++" in log, "the linker's log is there"
    assert "torch" not in log


def test_training_loads_it(start):
    log = loaded_libraries(start, "train", "--help")
    assert "libgalvatron_training.so" in log
    assert "libtorch_cpu" in log


@pytest.mark.parametrize(
    "command",
    [
        "models",
        "profile-hardware",
        "profile-model",
        "search",
        "sweep",
        "train",
        "evaluate",
        "export",
        "simulate",
        "check",
        "convert",
        "clusters",
    ],
)
def test_options_as_json_are_those_of_help(command, start):
    help_text, _ = start(command, "--help").communicate(timeout=60)
    text, _ = start(command, "--options-json").communicate(timeout=60)
    options = json.loads(text)
    names = {option["name"] for option in options if option["group"]}
    assert names == set(re.findall(r"^ +(?:-h,)?(--[a-z0-9-]+)", help_text, re.MULTILINE))
    assert names
    assert all(option["help"] for option in options)


@pytest.fixture
def alone(tmp_path: Path):
    """The binary without what is installed beside it; `library`: C source of another training half."""

    def run(*arguments: str, library: str = "") -> str:
        (tmp_path / "bin").mkdir()
        shutil.copy(BINARY, tmp_path / "bin")
        if library:
            (tmp_path / "lib").mkdir()
            (tmp_path / "other.cpp").write_text(library)
            target = tmp_path / "lib" / "libgalvatron_training.so"
            subprocess.run(["g++", "-shared", "-fPIC", tmp_path / "other.cpp", "-o", target], check=True)
        done = subprocess.run([tmp_path / "bin" / "galvatron", *arguments], capture_output=True, text=True, timeout=60,
                              env=clean_environment(), check=False)  # fmt: skip
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    return run


def test_without_the_training_half(alone):
    message = alone("train", "--model", "gpt2-tiny", "--data", "synthetic")
    assert "galvatron train needs the training half, and libgalvatron_training.so is not beside the binary" in message


def test_with_that_of_another_version(alone):
    assert "is of another version than the binary" in alone("train", library="int something_else;")


def test_with_a_library_that_cannot_be_loaded(alone):
    message = alone("profile-model", library="extern int missing(); int uses() { return missing(); }")
    words = r"galvatron: error: galvatron profile-model needs torch \d\S*: pip install 'galvatron\[train\]' \(.*missing"
    assert re.match(words, message)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [([*SEARCH, "--even-stages=maybe"], "--even-stages needs true or false, not 'maybe'"),
     ([*SEARCH, "simulate"], "The following argument was not expected: simulate"),
     (["train", "train", "--model", "gpt2-tiny", "--data", "synthetic"], "was not expected: train")],
)  # fmt: skip
def test_stray_words_are_refused(galvatron, arguments, sentence):
    done = galvatron(*arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- config files ---


@pytest.fixture
def search_with(galvatron, tmp_path: Path):
    """The best plan under a TOML file, or what is wrong with the file."""

    def run(toml: str, *arguments: object) -> dict | str:
        (tmp_path / "run.toml").write_text(toml)
        done = galvatron(*SEARCH, "--config", "run.toml", "--output", "plan.json", *arguments)
        if done.returncode == 0:
            return json.loads((tmp_path / "plan.json").read_text())
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    return run


def test_a_list_is_several_values(search_with):
    lists = ['allow = ["pp_degree=4", "zero_stage=0,3"]', 'allow = [\n  "pp_degree=4",  # why\n  "zero_stage=0,3"\n]']
    for toml in [*lists, "[search]\n" + lists[0]]:
        plan = search_with(toml)
        assert plan["pipeline"]["degree"] == 4
        assert all(run.get("zero_stage", 0) in (0, 3) for run in plan["layers"])
    assert search_with(lists[0], "--allow", "pp_degree=2")["pipeline"]["degree"] == 2
    assert search_with('allow = "pp_degree=4"\n[search]\nallow = ["pp_degree=2"]')["pipeline"]["degree"] == 2


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [('allow = "pp_degree=4"\nallow = "zero_stage=3"', "run.toml: 'allow' stands twice; several values are one list"),
     ("[search]\nmax-tp = 1\n[train]\nsteps = 1\n[search]\nmax-tp = 2", "'max-tp' stands twice in [search]")],
)  # fmt: skip
def test_a_key_that_stands_twice(search_with, toml, sentence):
    assert sentence in search_with(toml)


def test_a_folder_as_config(galvatron, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    done = galvatron(*SEARCH, "--config", "folder")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "--config: folder is a folder; give a TOML file" in done.stderr
