"""From text to token files: what `galvatron-data` does, as functions.

    prepare(Corpus.find(["books/"]), PrepareOptions(output=Path("books"), tokenizer=Path("tokenizer.json")))

writes the Megatron pair `books.bin`, `books.idx`, and `books.json`, which says what the tokens mean.
"""

from galvatron.data.corpus_writer import PrepareOptions, Summary, prepare
from galvatron.data.indexed_dataset import IndexedDataset, IndexedDatasetWriter
from galvatron.data.sources import Corpus

__all__ = [
    "Corpus",
    "IndexedDataset",
    "IndexedDatasetWriter",
    "PrepareOptions",
    "Summary",
    "prepare",
]
