"""Disks, folders and checkpoints that a run cannot use: one sentence and exit 2 before the first step."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

SMALL = ["--model", "gpt2-tiny", "--seq-length", 32, "--steps", 4, "--precision", "fp32"]
RUN = ["train", *SMALL, "--data", "synthetic", "--nproc", 2]
MEBIBYTE = 1 << 20

OWN_DISKS = shutil.which("unshare") is not None and (
    subprocess.run(
        ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False
    ).returncode
    == 0
)
needs_own_disks = pytest.mark.skipif(not OWN_DISKS, reason="the system lets this user mount nothing")


def refusal(result) -> str:
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert "step 1" not in result.stderr
    return result.stderr.splitlines()[-1]


@needs_own_disks
@pytest.mark.parametrize("option", ["--save", "--run-dir", "--export", "--metrics"])
def test_a_disk_without_a_byte_left(on_a_disk, option: str):
    fill = "(head -c 2M /dev/zero > disk/full || true) 2>/dev/null"
    said = refusal(on_a_disk(MEBIBYTE, fill, *RUN, option, "disk/place"))
    assert option in said and ("No space left on device" in said or "has room for" in said)


@needs_own_disks
def test_a_disk_without_room_for_one_checkpoint(on_a_disk):
    # Of gpt2-tiny a checkpoint has 1.6 MiB, an export a third of it.
    said = refusal(on_a_disk(MEBIBYTE, "true", *RUN, "--save", "disk/save"))
    assert "--save: a checkpoint has" in said and "disk/save has room for" in said
    said = refusal(on_a_disk(MEBIBYTE // 4, "true", *RUN, "--export", "disk/out"))
    assert "--export: the export has" in said


@needs_own_disks
@pytest.mark.parametrize("option", ["--save", "--run-dir", "--export", "--metrics"])
def test_a_disk_that_is_read_only(on_a_disk, option: str):
    said = refusal(on_a_disk(MEBIBYTE, "mount -o remount,ro disk", *RUN, option, "disk/place"))
    assert option in said and "Read-only file system" in said


@needs_own_disks
def test_a_mounted_folder_is_no_place_for_an_export(on_a_disk):
    said = refusal(on_a_disk(64 * MEBIBYTE, "true", *RUN, "--export", "disk"))
    assert "a mounted folder cannot be replaced as a whole; name a folder inside it" in said
    assert on_a_disk(64 * MEBIBYTE, "true", *RUN, "--export", "disk/out", "--save", "disk").returncode == 0


@needs_own_disks
def test_a_disk_that_fills_up_ends_no_run(on_a_disk, tmp_path: Path):
    run = [*RUN, "--save", "disk/save", "--save-interval", 1, "--metrics", "m.jsonl"]
    result = on_a_disk(4 * MEBIBYTE, "true", *run)
    assert result.returncode == 1, result.stderr
    assert "was not written" in result.stderr and "No space left on device" in result.stderr
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 4


def test_another_vocabulary(galvatron, corpus: Path):
    run = ["train", *SMALL, "--data", corpus]
    assert galvatron(*run, "--save", "save").returncode == 0
    said = refusal(galvatron(*run, "--steps", 8, "--resume", "save", "--vocab-size", 700))
    assert "was trained with --vocab-size" in said or "vocab_size" in said


def test_another_tokenizer(galvatron, tmp_path: Path, corpus: Path):
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}))
    run = ["train", *SMALL, "--data", corpus, "--tokenizer", tokenizer]
    assert galvatron(*run, "--save", "save").returncode == 0
    tokenizer.write_text(json.dumps({"model": {"type": "BPE", "vocab": {"b": 0}, "merges": []}}))
    said = refusal(galvatron(*run, "--steps", 8, "--resume", "save"))
    assert "was trained on other data: its tokenizer had" in said


def test_a_checkpoint_without_one_of_its_files(galvatron, tmp_path: Path):
    assert galvatron(*RUN, "--save", "save", "--save-interval", 2).returncode == 0
    (shard,) = (tmp_path / "save" / "step-000004").glob("state-00001-*")
    shard.unlink()
    said = refusal(galvatron(*RUN, "--steps", 8, "--resume", "save/step-000004"))
    assert "step-000004 is damaged" in said and shard.name in said
    result = galvatron(*RUN, "--steps", 8, "--resume", "save")
    assert result.returncode == 0 and "going on from save/step-000002" in result.stderr


def test_an_index_that_is_none_of_ours(galvatron, tmp_path: Path):
    (tmp_path / "save" / "step-000004").mkdir(parents=True)
    (tmp_path / "save" / "step-000004" / "checkpoint.json").write_text('{"format": "of somebody else"}')
    said = refusal(galvatron(*RUN, "--resume", "save/step-000004"))
    assert "step-000004 is damaged" in said and "is no checkpoint" in said
