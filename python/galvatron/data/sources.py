"""Where documents come from: text, JSONL and Parquet files, and the standard library of the running Python."""

from __future__ import annotations

import glob
import gzip
import json
import os
import sysconfig
import tokenize
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple, cast

from galvatron.command_line import ConfigError

STDLIB = "stdlib"
FORMAT_OF_EXTENSION = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".rst": "text",
    ".py": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS = ("text", "jsonl", "parquet")
# Folders of the standard library that hold no library: tests, installed packages, caches.
_STDLIB_LEAVES_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


class Document(NamedTuple):
    text: str
    input_bytes: int  # bytes of the input file that this document accounts for


@dataclass(frozen=True)
class SourceFile:
    path: Path
    format: str  # one of FORMATS, or "python"
    size: int  # bytes on disk


@dataclass(frozen=True)
class ReadOptions:
    field: str = "text"  # of each JSON line
    column: str = "text"  # of Parquet files
    lines_are_documents: bool = False  # text files: one document per line instead of per file
    replace_invalid_utf8: bool = False  # U+FFFD instead of an error
    # Option that chooses another field or column, where it is not --field and --column.
    chosen_by: str | None = None
    max_bytes: int | None = None  # stop before the document that would exceed this much text (UTF-8)


@dataclass(frozen=True)
class Corpus:
    """A list of files in a fixed order, and how to read documents from them."""

    inputs: tuple[str, ...]
    files: tuple[SourceFile, ...]
    options: ReadOptions = field(default_factory=ReadOptions)

    @staticmethod
    def find(inputs: list[str], options: ReadOptions | None = None, format: str = "auto") -> Corpus:
        """Files, folders (searched recursively), glob patterns and the word `stdlib`, sorted within each input.

        Raises ConfigError for an input that matches nothing and for an unknown extension.
        """
        found: dict[Path, SourceFile] = {}
        for text in inputs:
            for file in _stdlib_files() if text == STDLIB else _matching_files(text, format):
                found.setdefault(file.path.resolve(), file)
        return Corpus(tuple(inputs), tuple(found.values()), options or ReadOptions())

    @property
    def size(self) -> int:
        """Bytes of all files on disk."""
        return sum(file.size for file in self.files)

    def documents(self) -> Iterator[Document]:
        """All documents in order; the same ones each time. Raises ConfigError for what cannot be read."""
        left = self.options.max_bytes
        for file in self.files:
            for document in _read(file, self.options):
                if left is not None:
                    left -= len(document.text.encode("utf-8"))
                    if left < 0:
                        return
                yield document


def _matching_files(text: str, format: str) -> list[SourceFile]:
    path = Path(text)
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith(".")]
        if format == "auto":
            files = [file for file in files if _format_of(file) is not None]
        if not files:
            raise ConfigError(f"the folder {text} holds no file to read (known are {', '.join(FORMAT_OF_EXTENSION)})")
    elif path.exists() or not glob.has_magic(text):
        files = [path]
    else:
        files = [Path(name) for name in sorted(glob.glob(text, recursive=True)) if Path(name).is_file()]
        if not files:
            raise ConfigError(f"no file matches '{text}'")
    return [_source_file(file, format) for file in files]


def _source_file(path: Path, format: str) -> SourceFile:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    known = _format_of(path) if format == "auto" else format
    if known is None:
        raise ConfigError(
            f"{path} has the unknown extension '{path.suffix}'; known are {', '.join(FORMAT_OF_EXTENSION)} "
            f"(and .gz after them), or say what it is with --format"
        )
    return SourceFile(path, known, size)


def _format_of(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return FORMAT_OF_EXTENSION.get(os.path.splitext(name)[1])


def _stdlib_files() -> list[SourceFile]:
    root = Path(sysconfig.get_paths()["stdlib"])
    relative = [path.relative_to(root) for path in root.rglob("*.py")]
    kept = sorted((path for path in relative if not _STDLIB_LEAVES_OUT & set(path.parts)), key=Path.as_posix)
    if not kept:
        raise ConfigError(f"this Python has no source files of its standard library in {root}")
    return [SourceFile(root / path, "python", (root / path).stat().st_size) for path in kept]


def _read(file: SourceFile, options: ReadOptions) -> Iterator[Document]:
    readers = {
        "text": _read_text,
        "jsonl": _read_jsonl,
        "parquet": _read_parquet,
        "python": _read_python,
    }
    try:
        yield from readers[file.format](file, options)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"cannot read {file.path}: {getattr(error, 'strerror', None) or error}") from None


def _read_text(file: SourceFile, options: ReadOptions) -> Iterator[Document]:
    with _open(file) as raw:
        for number, line in enumerate(raw if options.lines_are_documents else [raw.read()], 1):
            text = _decode(line, file, number, options)
            yield Document(text.rstrip("\r\n") if options.lines_are_documents else text, len(line))


def _read_jsonl(file: SourceFile, options: ReadOptions) -> Iterator[Document]:
    with _open(file) as raw:
        for number, line in enumerate(raw, 1):
            text = _decode(line, file, number, options)
            if not text.isspace():
                yield Document(_field_of(text, file, number, options), len(line))


def _open(file: SourceFile) -> IO[bytes]:
    if file.path.name.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(file.path, "rb"))
    return file.path.open("rb")


def _decode(raw: bytes, file: SourceFile, number: int, options: ReadOptions) -> str:
    encoding = "utf-8-sig" if number == 1 else "utf-8"
    try:
        return raw.decode(encoding, "replace" if options.replace_invalid_utf8 else "strict")
    except UnicodeDecodeError as error:
        place = f"line {number}, " if number > 1 else ""
        raise ConfigError(
            f"{file.path} is not UTF-8 text ({place}byte {error.start} is 0x{error.object[error.start]:02x}); "
            f"convert it, or pass --invalid-utf8 replace"
        ) from None


def _field_of(text: str, file: SourceFile, number: int, options: ReadOptions) -> str:
    place, name = f"{file.path}, line {number}", options.field
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place}, is not valid JSON: {error}") from None
    if not isinstance(record, dict):
        raise ConfigError(f"{place}, is no JSON object but {type(record).__name__}; each line must be an object")
    if name not in record:
        raise ConfigError(
            f"{place}, has no field '{name}': it has {', '.join(record)}; choose one with "
            f"{options.chosen_by or '--field'}"
        )
    value = "" if record[name] is None else record[name]
    if not isinstance(value, str):
        raise ConfigError(f"{place}: the field '{name}' is {type(value).__name__}, not text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # JSON may spell half a character: "\\ud800"
        if not options.replace_invalid_utf8:
            raise ConfigError(
                f"{place}: the field '{name}' holds half a character; pass --invalid-utf8 replace"
            ) from None
        value = value.encode("utf-8", "replace").decode("utf-8")
    return value


def _read_python(file: SourceFile, _: ReadOptions) -> Iterator[Document]:
    try:
        with tokenize.open(file.path) as source:
            yield Document(source.read(), file.size)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file.path}: {error}") from None


def _read_parquet(file: SourceFile, options: ReadOptions) -> Iterator[Document]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ConfigError(f"{file.path} is Parquet, which pyarrow reads: pip install pyarrow") from None

    try:
        table = pyarrow.parquet.ParquetFile(file.path)
        _check_column(table.schema_arrow, file, options)
        per_row = file.size // max(1, table.metadata.num_rows)
        for batch in table.iter_batches(batch_size=1024, columns=[options.column]):
            for value in batch.column(0).to_pylist():
                yield Document(value or "", per_row)
    except pyarrow.ArrowException as error:
        raise ConfigError(f"cannot read {file.path} as Parquet: {str(error).splitlines()[0]}") from None


def _check_column(schema, file: SourceFile, options: ReadOptions) -> None:
    import pyarrow

    if options.column not in schema.names:
        raise ConfigError(
            f"{file.path} has no column '{options.column}': it has {', '.join(schema.names)}; choose one with "
            f"{options.chosen_by or '--column'}"
        )
    type_ = schema.field(options.column).type
    if pyarrow.types.is_dictionary(type_):
        type_ = type_.value_type
    if not (pyarrow.types.is_string(type_) or pyarrow.types.is_large_string(type_)):
        raise ConfigError(f"{file.path}: the column '{options.column}' holds {type_}, not text")
