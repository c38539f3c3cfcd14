"""Disks, folders and checkpoints that a run cannot use: one sentence and exit 2 before the first step."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY

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


ONE = ["train", *SMALL[:4], "--steps", 1, "--precision", "fp32", "--data", "synthetic"]


def test_home_where_no_shell_puts_it(galvatron, tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    result = galvatron(*ONE, "--run-dir=~/run", "--save=~/save", f"--export=file://{home}/out", HOME=str(home))
    assert result.returncode == 0, result.stderr
    assert (home / "run/summary.json").exists() and (home / "out/model.safetensors").exists()
    assert (home / "save/latest").exists() and not (tmp_path / "~").exists()
    assert galvatron(*ONE, "--init-from=~/out", HOME=str(home)).returncode == 0


@pytest.mark.parametrize("option", ["--run-dir", "--save", "--export", "--metrics", "--data"])
def test_an_address_is_no_folder(galvatron, tmp_path: Path, option: str):
    said = refusal(galvatron(*ONE, option, "s3://bucket/place"))
    assert "s3://bucket" in said and "is an address (s3)" in said and "mount it" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--run-dir", "--save", "--export", "--metrics", "--init-from", "--data"])
def test_a_name_that_is_too_long(galvatron, option: str):
    refusal(galvatron(*ONE, option, "x" * 300))
    refusal(galvatron(*ONE, option, "x/" * 3000))


def test_an_export_of_a_long_name_is_tried_before_training(galvatron, tmp_path: Path):
    said = refusal(galvatron(*ONE, "--export", "x" * 252))  # written beside its place, under a longer name
    assert "File name too long" in said
    assert galvatron(*ONE, "--export", "x" * 240).returncode == 0
    assert (tmp_path / ("x" * 240) / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("option", "place"),
    [("--run-dir", "out"), ("--save", "./out/"), ("--metrics", "out/m.jsonl"), ("--csv", "out/m.csv")],
)
def test_an_export_has_its_folder_for_itself(galvatron, tmp_path: Path, option: str, place: str):
    said = refusal(galvatron(*ONE, "--export", "out", option, place))
    assert f"{option} {place} lies in --export out" in said and "such as out/export" in said
    assert galvatron(*ONE, "--export", "out/export", option, place).returncode == 0
    assert (tmp_path / "out/export/model.safetensors").exists()


def test_a_link_to_nowhere(galvatron, tmp_path: Path):
    (tmp_path / "run").symlink_to("/scratch/gone")
    said = refusal(galvatron(*ONE, "--run-dir", "run"))
    assert "it is a link to /scratch/gone, which is not there" in said


def test_a_folder_that_is_gone(galvatron, tmp_path: Path):
    (tmp_path / "gone").mkdir()
    start = f"cd gone && rmdir ../gone && exec {BINARY} train --model gpt2-tiny --data synthetic --steps 1"
    result = subprocess.run(["sh", "-c", start], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "change to one that is there" in refusal(result)
