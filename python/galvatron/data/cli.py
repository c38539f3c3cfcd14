"""`galvatron-data`: text in, token files out; pictures in, array files out (images_cli.py)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from galvatron import __version__
from galvatron.command_line import (
    ConfigError,
    Parser,
    bytes_text,
    count_text,
    parse_bytes,
    positive_int,
    run_command,
)

# Of sources.py, which is not loaded for a page of help.
FORMATS = ("text", "jsonl", "parquet", "arrow", "csv")
_DESCRIPTION = """\
Turn text into a token file pair that `galvatron train --data PREFIX` reads.

It writes PREFIX.bin and PREFIX.idx (Megatron's format) and PREFIX.json, which says
what the tokens mean: vocabulary, tokenizer, documents, tokens, sources.
"""

_EXAMPLES = """\
inputs:
  a file        .txt .md .rst .py (one document each), .jsonl .json, .parquet .arrow, .csv .tsv;
                text, JSON and CSV also with .gz, .bz2, .xz or .zst after it
  a folder      every such file below it, sorted
  a pattern     'books/**/*.txt' (quote it)
  images, digits as the first word: pictures instead of text; galvatron-data images --help
  cache as the first word: the pair of a text, made once; galvatron-data cache --help
  stdlib        the source text of this Python's standard library: real text without a download
                (a folder of that name is written ./stdlib)

examples:
  galvatron-data stdlib --output corpus/stdlib --train-bpe 4096
  galvatron-data books/ --output corpus/books --tokenizer gpt2/tokenizer.json
  galvatron-data 'wiki/*.jsonl.gz' --field content --output corpus/wiki --tokenizer llama/
  galvatron-data part-*.parquet --column body --output corpus/web --train-bpe 32000 --max-bytes 2GB

Nothing is written unless everything is: a run that fails or is stopped leaves the old files as they were.
"""


def make_parser() -> Parser:
    parser = Parser(prog="galvatron-data", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, patterns, or the word stdlib")
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="PREFIX",
        help="writes PREFIX.bin, .idx and .json",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--tokenizer", type=Path, metavar="PATH", help="a Hugging Face tokenizer.json or its folder")
    which.add_argument(
        "--train-bpe",
        type=positive_int,
        metavar="VOCAB_SIZE",
        help="train a byte-level BPE on the input first and save it as tokenizer.json beside the output",
    )
    reading = parser.add_argument_group("reading")
    reading.add_argument(
        "--format",
        choices=("auto", *FORMATS),
        default="auto",
        help="default: by the extension",
    )
    reading.add_argument(
        "--field",
        default="text",
        help="field of each JSON record that holds the text (default: text); meta.text is a field of a field",
    )
    reading.add_argument(
        "--column",
        default="text",
        help="column of Parquet, Arrow and CSV files that holds the text (default: text)",
    )
    reading.add_argument(
        "--documents",
        choices=("file", "line"),
        default="file",
        help="what is one document in text files (default: file)",
    )
    reading.add_argument(
        "--max-bytes",
        type=parse_bytes,
        metavar="SIZE",
        help="stop after this much text, such as 200MB; documents stay whole",
    )
    reading.add_argument(
        "--invalid-utf8",
        choices=("error", "replace"),
        default="error",
        help="bytes that are no UTF-8 (default: error)",
    )
    tokens = parser.add_argument_group("tokenizing")
    tokens.add_argument(
        "--end-token",
        metavar="TOKEN",
        help="put after each document (default: the tokenizer's own)",
    )
    tokens.add_argument(
        "--bpe-train-bytes",
        type=parse_bytes,
        default=512 << 20,
        metavar="SIZE",
        help="train the BPE on the first so much of the input (default: 512MiB)",
    )
    tokens.add_argument("--tokenizer-output", type=Path, metavar="PATH", help="where a trained BPE is saved")
    tokens.add_argument("--workers", type=positive_int, metavar="N", help="threads (default: one per core)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    parser.add_argument("--version", action="version", version=f"galvatron {__version__}")
    return parser


def run(arguments: argparse.Namespace) -> None:
    from galvatron.data import tokenizer
    from galvatron.data.corpus_writer import PrepareOptions, prepare
    from galvatron.data.sources import Corpus, ReadOptions

    if not arguments.output.name:
        raise ConfigError(f"--output {arguments.output} is no prefix of a file name; write corpus/books, for example")
    tokenizer.use_threads(arguments.workers)
    if arguments.tokenizer is not None:
        tokenizer.tokenizer_file(arguments.tokenizer)  # before the input is searched
    reading = ReadOptions(
        field=arguments.field,
        column=arguments.column,
        lines_are_documents=arguments.documents == "line",
        replace_invalid_utf8=arguments.invalid_utf8 == "replace",
        max_bytes=arguments.max_bytes,
    )
    corpus = Corpus.find(arguments.inputs, reading, arguments.format)
    options = PrepareOptions(
        output=arguments.output,
        tokenizer=arguments.tokenizer,
        bpe_vocab_size=arguments.train_bpe or 0,
        bpe_train_bytes=arguments.bpe_train_bytes,
        tokenizer_output=arguments.tokenizer_output,
        end_token=arguments.end_token,
        show_progress=sys.stderr.isatty() and not arguments.quiet,
    )
    summary = prepare(corpus, options)
    if not arguments.quiet:
        print(_summary_text(summary, arguments.train_bpe))


def _summary_text(summary, asked_vocab_size: int | None) -> str:
    vocabulary = f"{summary.vocab_size:,}"
    if asked_vocab_size and summary.vocab_size < asked_vocab_size:
        vocabulary += f" (the text has no more pairs to merge; {asked_vocab_size:,} were asked for)"
    documents = f"{summary.documents:,}"
    if summary.empty_documents:
        documents += f" ({summary.empty_documents:,} empty ones left out)"
    rows = [
        ("text", f"{bytes_text(summary.text_bytes)} in {summary.files:,} files"),
        ("documents", documents),
        (
            "tokens",
            f"{count_text(summary.tokens)} ({summary.text_bytes / summary.tokens:.2f} bytes each)",
        ),
        ("vocabulary", vocabulary),
        ("tokenizer", f"{summary.tokenizer}, documents end with {summary.end_token.text}"),
        (
            "time",
            f"{summary.seconds:.1f} s, {count_text(summary.tokens / max(summary.seconds, 1e-9))} tokens/s",
        ),
        ("written", f"{summary.prefix}.bin ({summary.dtype.name}), .idx, .json"),
    ]
    return "\n".join(f"  {name:<10}  {value}" for name, value in rows)


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words[:1] in (["images"], ["digits"]):
        from galvatron.data import images_cli

        return run_command(f"galvatron-data {words[0]}", lambda: images_cli.run(words))
    if words[:1] == ["cache"]:
        from galvatron.data import token_cache_cli

        return token_cache_cli.main(words[1:])
    arguments = make_parser().parse_args(words)
    return run_command("galvatron-data", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
