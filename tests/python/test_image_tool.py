"""galvatron-data images and digits: pictures become array files, and bad input one sentence."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galvatron.command_line import ConfigError
from galvatron.data.images import ImageOptions, prepare_digits, prepare_folder, read_picture


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (20, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for i in range(6):
        paint(tmp_path / f"pets/cat/{i}.png", (i, 100, 0))
    for i in range(4):
        paint(tmp_path / f"pets/dog/young/{i}.bmp", (i, 0, 200), size=(8, 30))
    (tmp_path / "pets/dog/notes.txt").write_text("no picture")
    (tmp_path / "pets/.cache").mkdir()
    return tmp_path / "pets"


PYTHON_DIR = Path(__file__).resolve().parents[2] / "python"


def run_tool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "galvatron.data.cli", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_DIR)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_class_folders_become_arrays(pets, tmp_path):
    summary = prepare_folder(pets, tmp_path / "out/pets", ImageOptions(size=(6, 8)))
    images, labels = np.load(tmp_path / "out/pets.images.npy"), np.load(tmp_path / "out/pets.labels.npy")
    assert (summary.images, summary.classes, summary.shape) == (10, ["cat", "dog"], (3, 6, 8))
    assert images.shape == (10, 3, 6, 8) and images.dtype == np.uint8
    assert labels.dtype == np.int64 and sorted(labels) == [0] * 6 + [1] * 4
    for image, label in zip(images, labels, strict=True):
        assert (image[1 if label == 0 else 2] == (100 if label == 0 else 200)).all()
    info = json.loads((tmp_path / "out/pets.images.json").read_text())
    assert info["classes"] == ["cat", "dog"] and info["shape"] == [3, 6, 8]


def test_grey_pictures_of_16_bits_keep_their_shades(tmp_path):
    shades = np.array([[0, 257, 20_046], [59_881, 65_278, 65_535]], dtype=np.uint16)
    Image.fromarray(shades).save(tmp_path / "xray.png")
    for channels in (1, 3):
        picture = read_picture(tmp_path / "xray.png", ImageOptions(size=(2, 3), channels=channels))
        assert picture[0].tolist() == [[0, 1, 78], [233, 254, 255]]


def test_pictures_are_mixed_the_same_way_each_time(pets, tmp_path):
    def labels(seed: int) -> list[int]:
        prepare_folder(pets, tmp_path / "out", ImageOptions(size=(2, 2), seed=seed))
        return np.load(tmp_path / "out.labels.npy").tolist()

    assert labels(1) == labels(1) != labels(2)
    assert labels(1) != sorted(labels(1)), "a split's parts hold every class"


def test_pictures_keep_their_shape_or_are_stretched(tmp_path):
    picture = Image.new("L", (30, 10))
    picture.paste(255, (10, 0, 20, 10))  # white in the middle third
    picture.save(tmp_path / "a.png")
    cut = read_picture(tmp_path / "a.png", ImageOptions(size=(10, 10), channels=1))
    assert cut.shape == (1, 10, 10) and (cut == 255).all()
    stretched = read_picture(tmp_path / "a.png", ImageOptions(size=(10, 10), channels=1, crop=False))
    assert (stretched == 0).any() and (stretched == 255).any()


def test_digits_are_those_of_scikit_learn(tmp_path):
    from sklearn.datasets import load_digits

    prepare_digits(tmp_path / "digits")
    images, labels = np.load(tmp_path / "digits.images.npy"), np.load(tmp_path / "digits.labels.npy")
    digits = load_digits()
    assert images.shape == (1797, 1, 8, 8)
    assert np.array_equal(labels, digits.target)
    assert np.abs(images[:, 0] / 255 * 16 - digits.images).max() < 0.1


def test_the_command_says_what_it_wrote(pets, tmp_path):
    done = run_tool("images", pets, "--output", tmp_path / "p", "--size", "4x6", "--grey")
    assert done.returncode == 0, done.stderr
    assert "10 of 1 x 4 x 6 bytes" in done.stdout and "cat, dog" in done.stdout
    assert run_tool("digits", "--output", tmp_path / "d", "--quiet").stdout == ""


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["images", "missing", "--output", "x"], "missing is no folder"),
        (["images", ".", "--output", "x"], "has 0 folders of pictures; a class each, at least two are needed"),
        (["images", ".", "--output", "x", "--size", "0"], "'0' is no size"),
        (["images", ".", "--output", "x", "--size", "99999"], "'99999' is no size"),
        (["digits"], "the following arguments are required: --output"),
        (["digits", "--output", "."], "--output . is no prefix of a file name"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_tool(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_broken_picture_leaves_nothing(pets, tmp_path):
    (pets / "cat/broken.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(ConfigError, match=r"broken.png cannot be read as a picture"):
        prepare_folder(pets, tmp_path / "out/pets", ImageOptions(size=(2, 2)))
    assert list((tmp_path / "out").iterdir()) == []


def test_broken_pictures_are_left_out_where_that_is_asked_for(pets, tmp_path):
    prepare_folder(pets, tmp_path / "whole", ImageOptions(size=(2, 2)))
    (pets / "cat/broken.png").write_bytes(b"no picture")
    done = run_tool("images", pets, "--output", tmp_path / "rest", "--size", "2", "--skip-broken")
    assert done.returncode == 0 and "left out 1 picture: " in done.stderr and "broken.png cannot be read" in done.stderr
    whole, rest = (np.load(tmp_path / f"{name}.images.npy") for name in ("whole", "rest"))
    assert sorted(map(bytes, rest)) == sorted(map(bytes, whole))
    assert len(np.load(tmp_path / "rest.labels.npy")) == 10
    for path in pets.rglob("*.png"):
        path.write_bytes(b"no picture")
    for path in pets.rglob("*.bmp"):
        path.write_bytes(b"no picture")
    done = run_tool("images", pets, "--output", tmp_path / "none", "--size", "2", "--skip-broken")
    assert done.returncode == 2 and "none of the 11 pictures" in done.stderr and done.stderr.count("\n") == 1


def test_an_empty_class_is_named(pets, tmp_path):
    (pets / "fish").mkdir()
    with pytest.raises(ConfigError, match=r"fish holds no pictures"):
        prepare_folder(pets, tmp_path / "pets", ImageOptions())


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def picture_bytes(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (12, 12), colour).save(out, "PNG")
    return out.getvalue()


def shards(folder: Path, class_of: Callable[[int], dict[str, bytes]]) -> Path:
    for shard in range(2):
        files: dict[str, bytes] = {"README": b"no sample"}
        for i in range(shard * 5, shard * 5 + 5):
            files[f"train/{i:04}.png"] = picture_bytes((i, 0, 0))
            files |= {f"train/{i:04}{ending}": content for ending, content in class_of(i).items()}
        write_tar(folder / f"pets-{shard:06}.tar", files)
    return folder


@pytest.mark.parametrize(
    ("class_of", "classes"),
    [
        (lambda i: {".cls": b"%d\n" % (i % 3), ".txt": b"a caption"}, ["0", "1", "2"]),
        (lambda i: {".json": json.dumps({"label": ["cat", "dog", "emu"][i % 3]}).encode()}, ["cat", "dog", "emu"]),
    ],
)
@pytest.mark.parametrize("given", ["pets", "pets/pets-{000000,000001}", "pets/*.tar"])
def test_tars_of_webdataset_become_arrays(tmp_path, class_of, classes, given):
    shards(tmp_path / "pets", class_of)
    source = tmp_path / given.replace("{000000,000001}", "00000[01].tar")
    done = run_tool("images", source, "--output", tmp_path / "out", "--size", 8)
    assert done.returncode == 0, done.stderr
    images, labels = np.load(tmp_path / "out.images.npy"), np.load(tmp_path / "out.labels.npy")
    assert sorted(images[:, 0, 0, 0].tolist()) == list(range(10)), "each picture once, mixed"
    assert (images[:, 0, 0, 0] % 3 == labels).all()
    assert json.loads((tmp_path / "out.images.json").read_text())["classes"] == classes


def test_tars_that_are_none_are_refused_in_one_sentence(tmp_path):
    def problem(name: str) -> str:
        done = run_tool("images", tmp_path / name, "--output", tmp_path / "out")
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    write_tar(tmp_path / "a.tar", {"1.png": picture_bytes((1, 1, 1))})
    assert "the picture 1 has no class: a file 1.cls beside it" in problem("a.tar")
    write_tar(tmp_path / "b.tar", {"1.png": picture_bytes((1, 1, 1)), "1.cls": b"0"})
    assert "holds pictures of 1 classes" in problem("b.tar")
    write_tar(tmp_path / "c.tar", {"1.png": b"none", "1.cls": b"0", "2.png": picture_bytes((1, 1, 1)), "2.cls": b"1"})
    assert "c.tar, 1.png cannot be read as a picture" in problem("c.tar")
    (tmp_path / "d.tar").write_bytes(b"x" * 2000)
    assert "cannot be read as a tar file" in problem("d.tar")
    (tmp_path / "e.tar.gz").write_bytes(gzip.compress((tmp_path / "b.tar").read_bytes()))
    assert "unpack what is compressed" in problem("e.tar.gz")
    half = (tmp_path / "c.tar").read_bytes()[:1500]
    (tmp_path / "f.tar").write_bytes(half)
    assert "f.tar is cut off behind 1.png" in problem("f.tar")
    (tmp_path / "f.tar").write_bytes((tmp_path / "c.tar").read_bytes()[:2700])
    assert "unexpected end of data" in problem("f.tar")


def test_pictures_are_as_a_viewer_shows_them(tmp_path):
    """Upright, a drawing on white where it is transparent, floats with their shades, the first of several frames."""

    def read(name: str) -> np.ndarray:
        return read_picture(tmp_path / name, ImageOptions(size=(4, 4)))

    held = Image.new("RGB", (4, 8))
    held.paste((255, 255, 255), (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    held.save(tmp_path / "phone.png", exif=exif)
    turned = read("phone.png")
    assert turned[:, :, 3].min() == 255 and turned[:, :, 0].max() == 0
    drawing = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    drawing.putpixel((1, 1), (0, 0, 0, 255))
    drawing.save(tmp_path / "logo.png")
    assert (read("logo.png") == 0).sum() == 3 and (read("logo.png") == 255).sum() == 45
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "floats.tif")
    assert (read("floats.tif") == 128).all()
    frames = [Image.new("RGB", (4, 4), (shade,) * 3) for shade in (200, 10)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (read("moving.gif") == 200).all()
    Image.new("CMYK", (4, 4), (0, 0, 0, 255)).save(tmp_path / "print.jpg")
    assert read("print.jpg").max() < 5


def test_clutter_is_no_picture_and_parts_are_no_classes(pets, tmp_path):
    (pets / "cat/._0.png").write_bytes(b"\0\5\x16\7")
    (pets / "__MACOSX").mkdir()
    (pets / "cat/phone.heic").write_bytes(b"x")
    done = run_tool("images", pets, "--output", tmp_path / "p", "--size", "4")
    assert done.returncode == 0 and "10 of 3 x 4 x 4 bytes" in done.stdout
    assert "left out what is no picture by its name: 1 of .heic, 1 of .txt" in done.stderr
    for part in ("train", "val"):
        paint(tmp_path / f"parts/{part}/cat/1.png", (1, 1, 1))
    done = run_tool("images", tmp_path / "parts", "--output", tmp_path / "p")
    assert done.returncode == 2 and "parts of a data set, not classes" in done.stderr


def test_damaged_pictures_are_one_sentence(pets, tmp_path):
    for content, sentence in (
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"<html>404</html>", "cannot be read as a picture"),
        (b"", "cannot be read as a picture"),
    ):
        (pets / "cat/broken.jpg").write_bytes(content)
        done = run_tool("images", pets, "--output", tmp_path / "p", "--size", "4")
        assert done.returncode == 2 and sentence in done.stderr and done.stderr.count("\n") == 1
