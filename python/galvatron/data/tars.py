"""Pictures in WebDataset's tar files: neighbours of one name are a sample, such as 0001.jpg and 0001.cls."""

from __future__ import annotations

import glob
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from galvatron.command_line import ConfigError

# Fields that say the class, the first one that a sample has; of JSON, its keys.
CLASS_FIELDS = (".cls", ".class", ".label", ".json")
JSON_KEYS = ("label", "cls", "class")


@dataclass(frozen=True)
class TarPicture:
    """Bytes [begin, begin + size) of a tar file."""

    tar: Path
    name: str
    begin: int
    size: int

    def __str__(self) -> str:
        return f"{self.tar}, {self.name}"

    def open(self) -> io.BytesIO:
        with self.tar.open("rb") as file:
            file.seek(self.begin)
            return io.BytesIO(file.read(self.size))


def find_tars(source: str) -> list[Path]:
    """A tar file, a pattern of some, or a folder that holds some and no folders; empty: `source` is none of them."""
    path = Path(source)
    if path.is_dir():
        found = sorted(path.glob("*.tar"))
        return [] if any(one.is_dir() and not one.name.startswith(".") for one in path.iterdir()) else found
    if path.is_file():
        return [path] if ".tar" in path.suffixes or path.suffix == ".tgz" else []
    return [Path(name) for name in sorted(glob.glob(source, recursive=True)) if Path(name).is_file()]


def find_samples(tars: list[Path], extensions: set[str]) -> tuple[list[tuple[TarPicture, int]], list[str]]:
    """Every picture with the number of its class, and the classes' names. Reads names and classes, no picture."""
    named = [sample for tar in tars for sample in _samples(tar, extensions)]
    labels = [label for _, label in named]
    if all(label.isdigit() for label in labels):
        classes = [str(number) for number in range(max(map(int, labels), default=-1) + 1)]
    else:
        classes = sorted(set(labels))
    if len(classes) < 2:
        raise ConfigError(f"{_text(tars)} holds pictures of {len(classes)} classes; at least two are needed")
    number = {name: i for i, name in enumerate(classes)}
    return [(picture, number[str(int(label)) if label.isdigit() else label]) for picture, label in named], classes


def _samples(path: Path, extensions: set[str]) -> Iterator[tuple[TarPicture, str]]:
    try:
        with tarfile.open(path, "r:") as tar:
            key = ""
            fields: dict[str, tarfile.TarInfo] = {}
            for member in tar:
                if not member.isfile() or Path(member.name).name.startswith("."):
                    continue
                its_key, extension = _key_of(member.name)
                if its_key != key:
                    yield from _sample(path, key, fields, tar, extensions)
                    key, fields = its_key, {}
                fields[extension] = member
            _check_end(path, tar)
            yield from _sample(path, key, fields, tar, extensions)
    except (tarfile.TarError, EOFError) as error:
        hint = "; unpack what is compressed" if path.suffix in (".gz", ".tgz", ".xz", ".bz2", ".zst") else ""
        raise ConfigError(f"{path} cannot be read as a tar file: {error}{hint}") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None


def _check_end(path: Path, tar: tarfile.TarFile) -> None:
    """The library takes half a header for the end."""
    last = tar.getmembers()[-1] if tar.getmembers() else None
    with path.open("rb") as file:
        file.seek(tar.offset)
        rest = file.read(tarfile.BLOCKSIZE)
    if rest.strip(b"\0") or (last and path.stat().st_size < last.offset_data + last.size):
        raise ConfigError(f"{path} is cut off behind {last.name if last else 'its beginning'}; get it again")


def _key_of(name: str) -> tuple[str, str]:
    """WebDataset's rule: the key ends at the first dot of the file's own name."""
    folder, slash, own = name.rpartition("/")
    stem, dot, rest = own.partition(".")
    return folder + slash + stem, (dot + rest).lower()


def _sample(
    path: Path, key: str, fields: dict[str, tarfile.TarInfo], tar: tarfile.TarFile, extensions: set[str]
) -> Iterator[tuple[TarPicture, str]]:
    pictures = [field for field in fields if "." + field.rpartition(".")[2] in extensions]
    if not pictures:
        return
    member = fields[pictures[0]]
    yield TarPicture(path, member.name, member.offset_data, member.size), _class_of(path, key, fields, tar)


def _class_of(path: Path, key: str, fields: dict[str, tarfile.TarInfo], tar: tarfile.TarFile) -> str:
    for field in CLASS_FIELDS:
        if field not in fields:
            continue
        file = tar.extractfile(fields[field])
        text = file.read().decode("utf-8", "replace").strip() if file else ""
        if field != ".json":
            return text
        try:
            record = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"{path}, {key}.json is not valid JSON: {error}") from None
        found = [str(record[name]) for name in JSON_KEYS if isinstance(record, dict) and name in record]
        if found:
            return found[0]
    raise ConfigError(
        f"{path}: the picture {key} has no class: a file {key}.cls beside it, or {key}.json with a 'label', says it"
    )


def _text(tars: list[Path]) -> str:
    return str(tars[0]) if len(tars) == 1 else f"{tars[0]} and {len(tars) - 1} more"
