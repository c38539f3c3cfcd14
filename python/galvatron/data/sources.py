"""Where documents come from: text, JSONL and Parquet files, and the standard library of the running Python."""

from __future__ import annotations

import codecs
import glob
import io
import os
import sysconfig
import tokenize
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from galvatron.command_line import ConfigError
from galvatron.data import tables
from galvatron.data.compressed import COMPRESSIONS, decompression_errors, open_bytes, without_compression
from galvatron.data.folders import files_below
from galvatron.data.json_records import begins_like_lines, is_blank, parse_line, texts_of_field, whole_records
from galvatron.files import is_lfs_pointer, lfs_sentence

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
    ".arrow": "arrow",
    ".feather": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
}
FORMATS = ("text", "jsonl", "parquet", "arrow", "csv")
# Folders of the standard library that hold no library: tests, installed packages, caches.
_STDLIB_LEAVES_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
_LARGEST_POINTER = 1024  # bytes


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
    field: str = "text"  # of each JSON record; "meta.text" is a field of a field
    column: str = "text"  # of Parquet, Arrow and CSV files
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
        files = files_below(path)
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
        target = f" (it is a link to {os.readlink(path)})" if path.is_symlink() else ""
        raise ConfigError(f"cannot read {path}: {error.strerror}{target}") from None
    if path.is_file() and size < _LARGEST_POINTER and is_lfs_pointer(path):
        raise ConfigError(lfs_sentence(path))
    known = _format_of(path) if format == "auto" else format
    if known is None:
        raise ConfigError(
            f"{path} has the unknown extension '{path.suffix}'; known are {', '.join(FORMAT_OF_EXTENSION)} "
            f"(and {', '.join(COMPRESSIONS)} after them), or say what it is with --format"
        )
    return SourceFile(path, known, size)


def _format_of(path: Path) -> str | None:
    name = without_compression(path.name.lower())
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
        "jsonl": _read_json,
        "parquet": _read_table,
        "arrow": _read_table,
        "csv": _read_table,
        "python": _read_python,
    }
    errors: tuple[type[Exception], ...] = (OSError, zlib.error, *decompression_errors())
    try:
        yield from readers[file.format](file, options)
    except errors as error:
        raise ConfigError(f"cannot read {file.path}: {getattr(error, 'strerror', None) or error}") from None


def _read_text(file: SourceFile, options: ReadOptions) -> Iterator[Document]:
    with open_bytes(file.path) as raw:
        for number, line in enumerate(raw if options.lines_are_documents else [raw.read()], 1):
            text = _decode(line, file, number, options)
            yield Document(text.rstrip("\r\n") if options.lines_are_documents else text, len(line))


def _read_json(file: SourceFile, options: ReadOptions) -> Iterator[Document]:
    with open_bytes(file.path) as raw:
        in_lines = _json_is_in_lines(file, options)
        if not in_lines:
            yield from _read_whole_json(file, raw, options)
            return
        for number, line in enumerate(raw, 1):
            text = _decode(line, file, number, options)
            if not is_blank(text):
                place = f"{file.path}, line {number}"
                size = len(line)
                for document in _texts_of(parse_line(text, place), place, options):
                    yield Document(document, size)
                    size = 0


def _json_is_in_lines(file: SourceFile, options: ReadOptions) -> bool:
    if not file.path.is_file():  # a pipe is read once
        return True
    with open_bytes(file.path) as raw:
        for number, line in enumerate(raw, 1):
            text = _decode(line, file, number, options)
            if not is_blank(text):
                return begins_like_lines(text)
    return True


def _read_whole_json(file: SourceFile, raw: IO[bytes], options: ReadOptions) -> Iterator[Document]:
    errors = "replace" if options.replace_invalid_utf8 else "strict"
    before = 0
    # The position is that of the compressed bytes where there are some: all is known by the end.
    with io.TextIOWrapper(raw, encoding="utf-8-sig", errors=errors) as text:
        try:
            for number, record in whole_records(text, str(file.path)):
                place = f"{file.path}, record {number}"
                for document in _texts_of(record, place, options):
                    now = raw.tell()
                    yield Document(document, now - before)
                    before = now
        except UnicodeDecodeError as error:
            raise _not_utf8(file, error, "") from None


def _texts_of(record: Any, place: str, options: ReadOptions) -> Iterator[str]:
    for text in texts_of_field(record, options.field, place, options.chosen_by or "--field"):
        yield _whole_characters(text, place, options)


def _whole_characters(text: str, place: str, options: ReadOptions) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # JSON may spell half a character: "\\ud800"
        if not options.replace_invalid_utf8:
            raise ConfigError(
                f"{place}: the field '{options.field}' holds half a character; pass --invalid-utf8 replace"
            ) from None
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def _decode(raw: bytes, file: SourceFile, number: int, options: ReadOptions) -> str:
    try:
        # Files with a byte order mark that were joined have one in their middle too.
        return raw.decode("utf-8-sig", "replace" if options.replace_invalid_utf8 else "strict")
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error, f"line {number}, " if number > 1 else "") from None


def _not_utf8(file: SourceFile, error: UnicodeDecodeError, place: str) -> ConfigError:
    raw = error.object
    found = f"{file.path} is not UTF-8 text ({place}byte {error.start} is 0x{raw[error.start]:02x})"
    if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return ConfigError(f"{found} but UTF-16: convert it with iconv -f UTF-16 -t UTF-8")
    return ConfigError(f"{found}; convert it, or pass --invalid-utf8 replace")


def _read_python(file: SourceFile, _: ReadOptions) -> Iterator[Document]:
    try:
        with tokenize.open(file.path) as source:
            yield Document(source.read(), file.size)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file.path}: {error}") from None


def _read_table(file: SourceFile, options: ReadOptions) -> Iterator[Document]:
    chosen_by = options.chosen_by or "--column"
    if file.format == "csv":
        errors = "replace" if options.replace_invalid_utf8 else "strict"
        with open_bytes(file.path) as raw:
            rows = tables.csv_column(file.path, raw, options.column, chosen_by, errors)
            yield from (Document(*row) for row in rows)
        return
    read = tables.parquet_column if file.format == "parquet" else tables.arrow_column
    yield from (Document(*row) for row in read(file.path, options.column, chosen_by))
