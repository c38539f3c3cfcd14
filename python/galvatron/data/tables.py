"""Columns of text of Parquet, Arrow and CSV files."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from galvatron.command_line import ConfigError

if TYPE_CHECKING:
    import pyarrow

_ROWS = 1024


def parquet_column(path: Path, column: str, chosen_by: str) -> Iterator[tuple[str, int]]:
    """Each row's text, and the bytes of the file that it accounts for."""
    arrow = _pyarrow(path, "Parquet")
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
        _check_column(path, table.schema_arrow, column, chosen_by)
        per_row = path.stat().st_size // max(1, table.metadata.num_rows)
        for batch in table.iter_batches(batch_size=_ROWS, columns=[column]):
            for text in _texts(_values(batch, column), path):
                yield text, per_row
    except arrow.ArrowException as error:
        raise ConfigError(f"cannot read {path} as Parquet: {str(error).splitlines()[0]}") from None


def arrow_column(path: Path, column: str, chosen_by: str) -> Iterator[tuple[str, int]]:
    """Of a stream, as Hugging Face's datasets save them, or of a file with a footer (Feather)."""
    arrow = _pyarrow(path, "Arrow")
    try:
        with arrow.memory_map(str(path)) as source:
            for batch in _arrow_batches(arrow, source):
                _check_column(path, batch.schema, column, chosen_by)
                per_row = batch.nbytes // max(1, batch.num_rows)
                for text in _texts(_values(batch, column), path):
                    yield text, per_row
    except arrow.ArrowException as error:
        raise ConfigError(f"cannot read {path} as Arrow: {str(error).splitlines()[0]}") from None


def csv_column(path: Path, raw: IO[bytes], column: str, chosen_by: str, errors: str) -> Iterator[tuple[str, int]]:
    """Of a file whose first row names the columns, divided by commas, or by tabs or semicolons where that row is."""
    csv.field_size_limit(sys.maxsize)
    file = io.TextIOWrapper(raw, encoding="utf-8-sig", errors=errors, newline="")
    try:
        header = file.readline()
        divider = max("\t;,", key=header.count)
        names = next(csv.reader([header], delimiter=divider), [])
        if column not in names:
            raise _no_column(path, column, names, chosen_by)
        place = names.index(column)
        rows = csv.reader(file, delimiter=divider)
        for row in rows:
            if row and len(row) <= place:
                raise ConfigError(
                    f"{path}, line {rows.line_num + 1}, has {len(row)} columns; '{column}' is number {place + 1}"
                )
            if row:
                yield row[place], sum(map(len, row)) + len(row)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 text ({error.reason}); convert it, or pass --invalid-utf8 replace"
        ) from None
    except csv.Error as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from None


def _pyarrow(path: Path, kind: str) -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError:
        raise ConfigError(f"{path} is {kind}, which pyarrow reads: pip install pyarrow") from None
    return pyarrow


def _arrow_batches(arrow: Any, source: Any) -> Iterator[Any]:
    try:
        reader = arrow.ipc.open_file(source)
    except arrow.ArrowInvalid:
        source.seek(0)
        yield from arrow.ipc.open_stream(source)
        return
    for i in range(reader.num_record_batches):
        yield reader.get_batch(i)


def _values(batch: Any, column: str) -> Any:
    """Of a column, or of a struct's field."""
    first, *inner = [column] if column in batch.schema.names else column.split(".")
    values = batch.column(batch.schema.get_field_index(first))
    for name in inner:
        values = values.field(name)
    return values


def _texts(values: pyarrow.Array, path: Path) -> Iterator[str]:
    for value in values.to_pylist():
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ConfigError(f"{path} holds bytes that are not UTF-8 text ({error.reason})") from None
        yield value or ""


def _column_names(schema: Any) -> dict[str, Any]:
    """Types by name: of a struct's fields, too."""
    out = {}
    open_ = [(field.name, field.type) for field in schema]
    while open_:
        name, type_ = open_.pop(0)
        out[name] = type_
        if str(type_).startswith("struct"):
            open_ += [(f"{name}.{type_.field(i).name}", type_.field(i).type) for i in range(type_.num_fields)]
    return out


def _no_column(path: Path, column: str, names: list[str], chosen_by: str) -> ConfigError:
    return ConfigError(f"{path} has no column '{column}': it has {', '.join(names)}; choose one with {chosen_by}")


def _check_column(path: Path, schema: Any, column: str, chosen_by: str) -> None:
    from pyarrow import types

    names = _column_names(schema)
    if column not in names:
        raise _no_column(path, column, list(names), chosen_by)
    type_ = names[column]
    if types.is_dictionary(type_):
        type_ = type_.value_type
    # Writers that do not mark text as such leave bytes.
    is_text = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    if not any(is_one(type_) for is_one in is_text):
        raise ConfigError(f"{path}: the column '{column}' holds {type_}, not text")
