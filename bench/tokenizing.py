"""Tokenizing a text into a token pair beside Hugging Face's `tokenizers` alone on the same text, turn by turn.

    python bench/tokenizing.py [--megabytes 64] [--turns 5]

The text is the standard library's, repeated; the tokenizer is trained on it. Three things take turns: `tokenizers` on a
list of all documents, which gives ids and nothing else; `galvatron-data`, which also reads the file, checks it and
writes a pair; and the cache when it has the pair already (reading nothing, and reading the text once to know it).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from galvatron.data import Corpus, PrepareOptions, prepare
from galvatron.data.token_cache import cached_tokens
from galvatron.data.tokenizer import load_tokenizer


def make_text(folder: Path, megabytes: int) -> list[str]:
    documents = [document.text for document in Corpus.find(["stdlib"]).documents()]
    while sum(map(len, documents)) < megabytes << 20:
        documents += documents
    out: list[str] = []
    size = 0
    with (folder / "text.jsonl").open("w", encoding="utf-8") as file:
        for text in documents:
            if size >= megabytes << 20:
                break
            file.write(json.dumps({"text": text}) + "\n")
            out.append(text)
            size += len(text)
    return out


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = make_text(folder, arguments.megabytes)
        text = folder / "text.jsonl"
        path = prepare(Corpus.find([str(text)]), PrepareOptions(folder / "bpe", bpe_vocab_size=8192)).tokenizer
        tokenizer = load_tokenizer(path)
        cached_tokens([str(text)], path, folder / "cache", say=lambda _: None)
        megabytes = sum(len(one.encode()) for one in texts) / 1e6
        alone, whole, known = [], [], []
        for turn in range(arguments.turns):
            alone.append(seconds(lambda: tokenizer.encode_batch_fast(texts, add_special_tokens=False)))
            output = folder / f"out{turn}"
            whole.append(seconds(lambda: prepare(Corpus.find([str(text)]), PrepareOptions(output, tokenizer=path))))  # noqa: B023
            known.append(seconds(lambda: cached_tokens([str(text)], path, folder / "cache", say=lambda _: None)))
        print(f"{megabytes:.0f} MB in {len(texts)} documents; median (least to most) of {arguments.turns} turns")
        print(f"  tokenizers alone        {spread([megabytes / one for one in alone])} MB/s")
        print(f"  galvatron-data          {spread([megabytes / one for one in whole])} MB/s")
        ratios = [a / b for a, b in zip(whole, alone, strict=True)]
        print(f"  time beside tokenizers  {spread(ratios)}")
        print(f"  the cache has it        {spread(known)} s")


if __name__ == "__main__":
    main()
