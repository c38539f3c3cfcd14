"""`galvatron-data cache`: the token pair of a text, made once. `galvatron train --data text.jsonl` calls it."""

from __future__ import annotations

import sys

from galvatron.command_line import EXIT_CONFIG, ConfigError, Parser, positive_int, run_command
from galvatron.files import user_path


def make_parser() -> Parser:
    parser = Parser(
        prog="galvatron-data cache",
        description="Print the PREFIX of the token pair of a text; it is made where the cache has none of it.",
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders or patterns")
    parser.add_argument(
        "--tokenizer", required=True, type=user_path, metavar="PATH", help="tokenizer.json or its folder"
    )
    parser.add_argument("--cache", required=True, type=user_path, metavar="DIR", help="where tokens are kept")
    parser.add_argument("--field", default="text", help="field of JSON lines, or column of Parquet files")
    parser.add_argument("--workers", type=positive_int, metavar="N", help="threads (default: one per core)")
    return parser


def main(words: list[str]) -> int:
    arguments = make_parser().parse_args(words)
    refused = False

    def run() -> None:
        nonlocal refused
        from galvatron.data.sources import ReadOptions
        from galvatron.data.token_cache import cached_tokens
        from galvatron.data.tokenizer import use_threads

        use_threads(arguments.workers)
        reading = ReadOptions(field=arguments.field, column=arguments.field, chosen_by="--text-field")
        try:
            print(cached_tokens(arguments.inputs, arguments.tokenizer, arguments.cache, reading))
        except ConfigError as error:  # for whoever has started us to say
            refused = True
            print(error)
        except ModuleNotFoundError as error:
            refused = True
            print(f"text is tokenized by {error.name}, which is not installed: pip install 'galvatron[data]'")

    code = run_command("galvatron-data cache", run)
    sys.stdout.flush()
    return EXIT_CONFIG if refused else code
