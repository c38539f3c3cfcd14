"""From raw text to samples, beside Megatron-LM's own code and Hugging Face's `tokenizers`, turn by turn.

    python bench/beside_megatron.py [--megatron FOLDER] [--megabytes 32] [--turns 5] [--seq-length 1024] [--epochs 10]

FOLDER holds an unpacked megatron-core (`pip download megatron-core --no-deps`; a wheel is a zip file). Without one its
rows are left out.

Tokenizing: `tokenizers` alone on a list of all documents, which gives ids and nothing else; `galvatron-data`; and what
Megatron's tools/preprocess_data.py does, in lines of our own because megatron-core has no tools: a pool of as many
workers as there are cores parses and tokenizes JSON lines one by one, and one IndexedDatasetBuilder of Megatron's
writes them.

Indexing a token pair: Megatron's GPTDataset builds an index of documents, one of samples (helpers.cpp) and a shuffle
before the first sample, by its own functions; ours computes where each sample is when it is asked for. "All" asks for
all samples of all epochs. Packing whole documents by best fit has no counterpart in Megatron's pretraining data.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizing import make_text, seconds, spread

from galvatron.data import Corpus, PrepareOptions, prepare
from galvatron.data.indexed_dataset import IndexedDatasetWriter
from galvatron.data.tokenizer import load_tokenizer

ROOT = Path(__file__).resolve().parent.parent
TOKENS_OF_A_DOCUMENT = 400  # tokens, as the median of web pages


class Worker:
    """tools/preprocess_data.py's Encoder."""

    tokenizer: Any

    def __init__(self, path: str, end: int) -> None:
        self.path, self.end = path, end

    def start(self) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        Worker.tokenizer = load_tokenizer(Path(self.path))

    def encode(self, line: str) -> list[int]:
        return [*Worker.tokenizer.encode(json.loads(line)["text"], add_special_tokens=False).ids, self.end]


def megatron_preprocess(text: Path, tokenizer: Path, prefix: str) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder

    worker = Worker(str(tokenizer), 0)
    builder = IndexedDatasetBuilder(prefix + ".bin", dtype=np.uint16)
    with text.open(encoding="utf-8") as lines, multiprocessing.Pool(os.cpu_count(), worker.start) as pool:
        for ids in pool.imap(worker.encode, lines, 32):
            builder.add_document(ids, [len(ids)])
    builder.finalize(prefix + ".idx")


def write_random_pair(prefix: Path, documents: int) -> None:
    """Documents as long as web pages are: a long tail."""
    random = np.random.default_rng(1)
    sizes = np.clip(random.lognormal(np.log(TOKENS_OF_A_DOCUMENT), 1.2, documents), 2, None).astype(np.int64)
    writer = IndexedDatasetWriter(prefix.with_suffix(".bin"), np.dtype(np.uint16))
    for size in sizes:
        writer.add_document(np.zeros(size, np.uint16))
    writer.finish(prefix.with_suffix(".idx"))


def megatron_index(prefix: Path, seq_length: int, epochs: int) -> dict[str, float]:
    from megatron.core.datasets import gpt_dataset, helpers
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    started = time.perf_counter()
    dataset = IndexedDataset(str(prefix), mmap=True)
    documents = np.arange(len(dataset.document_indices) - 1, dtype=np.int32)
    random = np.random.RandomState(1234)
    order = gpt_dataset._build_document_index(documents, epochs, random, False)
    tokens = int(dataset.sequence_lengths.sum())
    samples = helpers.build_sample_idx(dataset.sequence_lengths, order, seq_length, epochs, tokens, True, 1)
    shuffle = gpt_dataset._build_shuffle_index(len(samples) - 1, len(samples) - 1, random)
    dataset[int(order[samples[int(shuffle[0])][0]])]
    return {"samples": len(shuffle), "first": time.perf_counter() - started}


def our_index(prefix: Path, seq_length: int, epochs: int) -> dict[str, float]:
    binary = ROOT / "build/release/bin/bench_indexing"
    done = subprocess.run([binary, prefix, str(seq_length), str(epochs)], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def ratios(ours: list[float], theirs: list[float]) -> str:
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])


def tokenizing(folder: Path, arguments: argparse.Namespace, has_megatron: bool) -> Iterator[str]:
    texts = make_text(folder, arguments.megabytes)
    text = folder / "text.jsonl"
    path = prepare(Corpus.find([str(text)]), PrepareOptions(folder / "bpe", bpe_vocab_size=8192)).tokenizer
    tokenizer = load_tokenizer(path)
    works: dict[str, Callable[[int], object]] = {
        "galvatron-data": lambda turn: prepare(
            Corpus.find([str(text)]), PrepareOptions(folder / f"g{turn}", tokenizer=path)
        ),
        "tokenizers alone": lambda turn: tokenizer.encode_batch_fast(texts, add_special_tokens=False),
    }
    if has_megatron:
        works["Megatron's preprocess"] = lambda turn: megatron_preprocess(text, path, str(folder / f"m{turn}"))
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(arguments.turns):
        for name, work in works.items():
            times[name].append(seconds(lambda: work(turn)))  # noqa: B023
    megabytes = sum(len(one.encode()) for one in texts) / 1e6
    yield f"tokenizing {megabytes:.0f} MB in {len(texts)} documents"
    for name, values in times.items():
        speed, beside = spread([megabytes / one for one in values]), ratios(times["galvatron-data"], values)
        yield f"  {name:<22} {speed} MB/s; galvatron-data takes {beside} of its time"
    if has_megatron:
        same = (folder / "g0.bin").read_bytes()[:1000] == (folder / "m0.bin").read_bytes()[:1000]
        yield f"  the first tokens of both files are {'the same' if same else 'different'}"


def indexing(folder: Path, arguments: argparse.Namespace, has_megatron: bool) -> Iterator[str]:
    for documents in arguments.documents:
        prefix = folder / f"pair{documents}"
        write_random_pair(prefix, documents)
        ours, theirs = [], []
        for _ in range(arguments.turns):
            ours.append(our_index(prefix, arguments.seq_length, arguments.epochs))
            if has_megatron:
                theirs.append(megatron_index(prefix, arguments.seq_length, arguments.epochs))
        yield f"indexing {documents} documents, {ours[0]['samples']} samples in {arguments.epochs} epochs"
        yield f"  first sample           {spread([one['first'] for one in ours])} s"
        yield f"  all samples            {spread([one['all'] for one in ours])} s"
        yield (
            f"  packed, first sample   {spread([one['packed'] for one in ours])} s for {ours[0]['packed_samples']} "
            f"samples, {100 * ours[0]['fill']:.2f} % full"
        )
        if has_megatron:
            index = [one["first"] for one in theirs]
            yield f"  Megatron's index       {spread(index)} s for {theirs[0]['samples']} samples"
            for what in ("first", "all", "packed"):
                yield f"    {what:<8} beside it    {ratios([one[what] for one in ours], index)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megatron", type=Path, help="folder of an unpacked megatron-core")
    parser.add_argument("--megabytes", type=int, default=32)
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--seq-length", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.megatron:
        sys.path.insert(0, str(arguments.megatron))
        import megatron.core.datasets.gpt_dataset  # noqa: F401  (seconds, which are not to be counted)
    print(f"median (least to most) of {arguments.turns} turns on {os.cpu_count()} cores")
    for part in (tokenizing, indexing):
        with tempfile.TemporaryDirectory() as name:
            for line in part(Path(name), arguments, arguments.megatron is not None):
                print(line, flush=True)


if __name__ == "__main__":
    main()
