"""Megatron's token file pair, PREFIX.bin and PREFIX.idx: the writer, and a reader for tools and tests.

PREFIX.bin holds the token ids of all documents one after another. PREFIX.idx, little-endian and
packed: "MMIDIDX" and two zero bytes, version (uint64, 1), token type (uint8), sequence count
(uint64), document count (uint64), then sequence lengths (int32), their positions in bytes (int64),
and the first sequence of each document and the end (int64).
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

import numpy as np

from galvatron.command_line import ConfigError

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
HEADER = struct.Struct("<9sQBQQ")
TYPE_OF_CODE = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}
CODE_OF_TYPE = {np.dtype(type_): code for code, type_ in TYPE_OF_CODE.items()}
LONGEST_DOCUMENT = 2**31 - 1  # lengths are int32


def token_dtype(vocab_size: int) -> np.dtype:
    """Megatron's rule: two bytes where the vocabulary leaves room, else four."""
    return np.dtype(np.uint16 if vocab_size < 65500 else np.int32)


class IndexedDatasetWriter:
    """Writes documents to a token file as they come; finish() writes the index. One sequence per document."""

    def __init__(self, bin_path: Path, dtype: np.dtype) -> None:
        self._file = bin_path.open("wb")
        self._dtype = np.dtype(dtype)
        self._lengths = array("i")
        self.num_tokens = 0

    @property
    def num_documents(self) -> int:
        return len(self._lengths)

    def add_document(self, ids: np.ndarray) -> None:
        if len(ids) > LONGEST_DOCUMENT:
            raise ConfigError(f"a document has {len(ids)} tokens, more than the format's {LONGEST_DOCUMENT}")
        self._file.write(np.ascontiguousarray(ids, dtype=self._dtype.newbyteorder("<")).tobytes())
        self._lengths.append(len(ids))
        self.num_tokens += len(ids)

    def close(self) -> None:
        self._file.close()

    def finish(self, idx_path: Path) -> None:
        self.close()
        lengths = np.frombuffer(self._lengths, dtype=np.int32) if self._lengths else np.zeros(0, np.int32)
        ends = np.cumsum(lengths, dtype=np.int64) * self._dtype.itemsize
        positions = np.concatenate([np.zeros(1, np.int64), ends])[: len(lengths)]
        documents = np.arange(len(lengths) + 1, dtype=np.int64)
        with idx_path.open("wb") as file:
            file.write(HEADER.pack(MAGIC, VERSION, CODE_OF_TYPE[self._dtype], len(lengths), len(documents)))
            for values, type_ in ((lengths, "<i4"), (positions, "<i8"), (documents, "<i8")):
                file.write(values.astype(type_).tobytes())


class IndexedDataset:
    """Reads a pair: len(dataset) sequences, dataset[i] the token ids of one. Raises ConfigError for a damaged pair."""

    def __init__(self, prefix: str | Path) -> None:
        bin_path, idx_path = Path(f"{prefix}.bin"), Path(f"{prefix}.idx")
        try:
            index = idx_path.read_bytes()
            held = bin_path.stat().st_size
        except OSError as error:
            raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from None
        if len(index) < HEADER.size or not index.startswith(MAGIC):
            raise ConfigError(f"{idx_path} is no Megatron token index")
        _, version, code, count, borders = HEADER.unpack_from(index)
        if version != VERSION or code not in TYPE_OF_CODE:
            raise ConfigError(f"{idx_path} has version {version} and token type {code}, which are not understood")
        if len(index) != HEADER.size + count * 12 + borders * 8:
            raise ConfigError(f"{idx_path} is truncated or damaged")
        self.dtype = np.dtype(TYPE_OF_CODE[code])
        self.lengths = np.frombuffer(index, "<i4", count, HEADER.size)
        self._first = np.frombuffer(index, "<i8", count, HEADER.size + count * 4) // self.dtype.itemsize
        self.documents = np.frombuffer(index, "<i8", borders, HEADER.size + count * 12)
        due = int(self.lengths.sum(dtype=np.int64)) * self.dtype.itemsize
        if held != due:
            raise ConfigError(f"{bin_path} has {held} bytes, its index describes {due}")
        self.tokens = np.memmap(bin_path, self.dtype, mode="r") if held else np.zeros(0, self.dtype)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, sequence: int) -> np.ndarray:
        first = int(self._first[sequence])
        return np.asarray(self.tokens[first : first + int(self.lengths[sequence])])
