"""Pictures in, a pair of array files out: PREFIX.images.npy and PREFIX.labels.npy."""

from __future__ import annotations

import json
import random
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from tqdm import tqdm

from galvatron.command_line import ConfigError
from galvatron.data.folders import files_below, is_clutter
from galvatron.files import AtomicFiles, is_lfs_pointer, lfs_sentence

if TYPE_CHECKING:
    from PIL.Image import Image

    from galvatron.data.tars import TarPicture

EXTENSIONS = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
}
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing", "eval"}
INFO_FORMAT = "galvatron-images"
INFO_VERSION = 1
# No larger array is made before the first picture is read.
MAX_SIDE = 1 << 14


@dataclass(frozen=True)
class ImageOptions:
    size: tuple[int, int] = (224, 224)  # height, width in pixels
    channels: int = 3  # 1: grey, 3: colours
    crop: bool = True  # the middle of the picture in its own shape; else it is stretched
    seed: int = 1234  # of the order of the pictures
    show_progress: bool = False
    skip_broken: bool = False  # pictures that cannot be read are left out


@dataclass(frozen=True)
class Summary:
    images: int
    classes: list[str]
    shape: tuple[int, int, int]  # channels, height, width
    broken: tuple[str, ...] = ()  # why pictures were left out, each a sentence


def find_classes(folder: Path) -> list[tuple[Path, int]]:
    """Every picture below FOLDER/CLASS/, with the number of its class: classes are numbered by their names' order."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give one that holds a folder of pictures for each class")
    classes = class_names(folder)
    if len(classes) < 2:
        raise ConfigError(f"{folder} has {len(classes)} folders of pictures; a class each, at least two are needed")
    if {name.lower() for name in classes} <= _PARTS:
        raise ConfigError(
            f"{folder} holds {', '.join(classes)}: parts of a data set, not classes; make each by itself, and give the "
            "second one to --valid-data"
        )
    pictures = []
    for number, name in enumerate(classes):
        files = files_below(folder / name)
        found = [path for path in files if path.suffix.lower() in EXTENSIONS]
        if not found:
            others = sorted({path.suffix or path.name for path in files})
            only = f", only {', '.join(others[:5])}" if others else ""
            raise ConfigError(f"{folder / name} holds no pictures ({', '.join(sorted(EXTENSIONS))}){only}")
        pictures += [(path, number) for path in found]
    return pictures


def class_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_clutter(path.name))


def left_out(folder: Path) -> dict[str, int]:
    """How many files of each ending are passed over, because nothing here reads pictures of that name."""
    files = (path for name in class_names(folder) for path in files_below(folder / name))
    endings = (path.suffix.lower() for path in files)
    return dict(Counter(ending or "no ending" for ending in endings if ending not in EXTENSIONS))


def prepare_folder(folder: Path, output: Path, options: ImageOptions) -> Summary:
    """Writes a folder of class folders. Pictures are mixed, so that every part of a split has every class."""
    pictures = find_classes(folder)
    random.Random(options.seed).shuffle(pictures)
    shape = (options.channels, *options.size)
    bar = tqdm(pictures, desc="images", unit="image", disable=not options.show_progress)
    arrays = (_read_or_skip(path, options) for path, _ in bar)
    labels = [label for _, label in pictures]
    return _write(output, arrays, shape, labels, class_names(folder), str(folder))


def prepare_tars(tars: list[Path], output: Path, options: ImageOptions) -> Summary:
    """Writes the pictures of WebDataset's tar files, mixed as those of a folder are."""
    from galvatron.data.tars import find_samples

    pictures, classes = find_samples(tars, EXTENSIONS)
    random.Random(options.seed).shuffle(pictures)
    bar = tqdm(pictures, desc="images", unit="image", disable=not options.show_progress)
    arrays = (_read_or_skip(picture, options) for picture, _ in bar)
    labels = [label for _, label in pictures]
    return _write(output, arrays, (options.channels, *options.size), labels, classes, ", ".join(map(str, tars)))


def prepare_digits(output: Path) -> Summary:
    """Writes scikit-learn's handwritten digits: 1,797 real pictures of 8 x 8 that come with the package."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ConfigError("the digits come with scikit-learn: pip install scikit-learn") from None
    digits = load_digits()
    # 17 shades, 0 to 16.
    images = np.minimum(digits.images * 16, 255).astype(np.uint8)[:, None]
    labels = digits.target.tolist()
    return _write(output, images, images.shape[1:], labels, [str(n) for n in range(10)], "scikit-learn's digits")


class BrokenPicture(ConfigError):
    """One picture cannot be read; others may."""


def _read_or_skip(path: Path | TarPicture, options: ImageOptions) -> np.ndarray | BrokenPicture:
    try:
        return read_picture(path, options)
    except BrokenPicture as broken:
        if options.skip_broken:
            return broken
        raise ConfigError(f"{broken}; mend it, or leave such pictures out (--skip-broken)") from None


def read_picture(path: Path | TarPicture, options: ImageOptions) -> np.ndarray:
    """A picture as bytes [channels, height, width], as a viewer shows it: upright, the first frame, on white."""
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError("pictures are read with Pillow, which is not installed: pip install pillow") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data and of pictures that are merely large
            with Image.open(path if isinstance(path, Path) else path.open()) as picture:
                picture.load()
                mode = "L" if options.channels == 1 else "RGB"
                pixels = np.asarray(_resized(_on_white(_eight_bits(_upright(picture))).convert(mode), options))
    except Exception as error:  # damaged files make the library raise nearly anything
        if isinstance(path, Path) and is_lfs_pointer(path):
            raise ConfigError(lfs_sentence(path)) from None
        raise BrokenPicture(f"{path} cannot be read as a picture: {error or type(error).__name__}") from None
    return pixels[None] if options.channels == 1 else pixels.transpose(2, 0, 1)


def _upright(picture: Image) -> Image:
    """Cameras note how they were held. Where the note is damaged there is none."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:
        return picture


def _eight_bits(picture: Image) -> Image:
    """Grey pictures of 16 bits and of floats keep their shades: convert() would make all above 255 white."""
    from PIL import Image

    if not picture.mode.startswith("I") and picture.mode != "F":
        return picture
    shades = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    largest = shades.max(initial=0)
    if picture.mode == "I" and largest <= 255:
        return picture
    white = 65535.0
    if picture.mode == "F" and largest <= 255:
        white = 1.0 if largest <= 1 else 255.0
    return Image.fromarray(np.clip(np.rint(shades * (255 / white)), 0, 255).astype(np.uint8))


def _on_white(picture: Image) -> Image:
    """What is transparent often hides black: a drawing would vanish in it."""
    from PIL import Image

    has_alpha = picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info
    if not has_alpha:
        return picture
    coloured = picture.convert("RGBA")
    white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, coloured)


def _resized(picture: Image, options: ImageOptions) -> Image:
    from PIL import Image, ImageOps

    height, width = options.size
    if options.crop:
        return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def _write(
    output: Path,
    images: Iterable[np.ndarray | BrokenPicture],
    shape: tuple[int, int, int],
    labels: list[int],
    classes: list[str],
    source: str,
) -> Summary:
    """One image in memory at a time; files appear under their names when all are complete. Broken ones are left out."""
    broken: list[str] = []
    with AtomicFiles() as files:
        with files.path(_named(output, ".images.npy")).open("wb") as file:
            _write_header(file, (len(labels), *shape))
            read = []
            for image, label in zip(images, labels, strict=True):
                if isinstance(image, BrokenPicture):
                    broken.append(str(image))
                    continue
                file.write(np.ascontiguousarray(image, dtype=np.uint8).tobytes())
                read.append(label)
            if not read:
                raise ConfigError(f"none of the {len(labels)} pictures of {source} can be read: {broken[0]}")
            labels = read
            file.seek(0)
            _write_header(file, (len(labels), *shape))
        with files.path(_named(output, ".labels.npy")).open("wb") as file:
            np.save(file, np.asarray(labels, dtype=np.int64))
        info = {
            "format": INFO_FORMAT,
            "version": INFO_VERSION,
            "images": len(labels),
            "shape": list(shape),
            "classes": classes,
            "source": source,
        }
        files.write_text(_named(output, ".images.json"), json.dumps(info, indent=2) + "\n")
        files.commit()
    return Summary(len(labels), classes, shape, tuple(broken))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Of the same length for any number of images: numpy leaves room for a longer one."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _named(prefix: Path, ending: str) -> Path:
    return prefix.with_name(prefix.name + ending)
