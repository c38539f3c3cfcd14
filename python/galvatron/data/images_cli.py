"""`galvatron-data images` and `galvatron-data digits`: pictures in, array files out."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from galvatron.command_line import ConfigError, Parser, positive_int
from galvatron.files import user_path

_IMAGES = """\
Turn a folder of class folders of pictures into the array files that
`galvatron train --model vit-base --data PREFIX` reads: PREFIX.images.npy (bytes
[N, channels, height, width]), PREFIX.labels.npy and PREFIX.images.json (the classes' names).

  pets/cat/1.jpg  pets/cat/2.jpg  pets/dog/1.png   ->   classes 0 cat, 1 dog

WebDataset's tar files (a file, a pattern, or a folder of them) do as well: a picture's class is
in the .cls or .json beside it (0001.jpg, 0001.cls).
"""
_SHOWN = 5  # pictures that are named
_DIGITS = """\
Write scikit-learn's handwritten digits: 1,797 real pictures of 8 x 8 pixels in ten classes,
which come with the package. `galvatron train --model vit-tiny --data PREFIX` learns them.
"""


def parse_size(text: str) -> tuple[int, int]:
    from galvatron.data.images import MAX_SIDE

    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    sides = [int(side) for side in match.groups(match[1])] if match else [0]
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write 224 or HEIGHTxWIDTH, up to {MAX_SIDE}")
    return sides[0], sides[1]


def make_images_parser() -> Parser:
    parser = Parser(prog="galvatron-data images", description=_IMAGES)
    parser.add_argument("folder", metavar="FOLDER", help="holds a folder of pictures for each class, or tar files")
    _add_output(parser)
    parser.add_argument("--size", type=parse_size, default="224", help="224 or HEIGHTxWIDTH (default: 224)")
    parser.add_argument("--grey", action="store_true", help="one channel instead of three")
    parser.add_argument("--stretch", action="store_true", help="change a picture's shape instead of cutting its edges")
    parser.add_argument(
        "--skip-broken", action="store_true", help="leave out pictures that cannot be read, and say which"
    )
    parser.add_argument("--seed", type=positive_int, default=1234, help="of the order of the pictures (default: 1234)")
    return parser


def make_digits_parser() -> Parser:
    parser = Parser(prog="galvatron-data digits", description=_DIGITS)
    _add_output(parser)
    return parser


def _add_output(parser: Parser) -> None:
    parser.add_argument(
        "--output", required=True, type=user_path, metavar="PREFIX", help="what the files' names begin with"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _say_broken(broken: Sequence[str]) -> None:
    if broken:
        more = f"; and {len(broken) - _SHOWN:,} more" if len(broken) > _SHOWN else ""
        what = "1 picture" if len(broken) == 1 else f"{len(broken):,} pictures"
        print(f"galvatron-data images: left out {what}: {'; '.join(broken[:_SHOWN])}{more}", file=sys.stderr)


def run(argv: list[str]) -> None:
    """REQUIRES: argv[0] is "images" or "digits"."""
    from galvatron.data.images import ImageOptions, left_out, prepare_digits, prepare_folder, prepare_tars
    from galvatron.data.tars import find_tars

    is_folder = argv[0] == "images"
    arguments = (make_images_parser() if is_folder else make_digits_parser()).parse_args(argv[1:])
    if not arguments.output.name:
        raise ConfigError(f"--output {arguments.output} is no prefix of a file name; write corpus/pets, for example")
    if is_folder:
        options = ImageOptions(
            size=arguments.size,
            channels=1 if arguments.grey else 3,
            crop=not arguments.stretch,
            seed=arguments.seed,
            show_progress=sys.stderr.isatty() and not arguments.quiet,
            skip_broken=arguments.skip_broken,
        )
        tars = find_tars(arguments.folder)
        if tars:
            summary = prepare_tars(tars, arguments.output, options)
        else:
            summary = prepare_folder(Path(arguments.folder), arguments.output, options)
            others = left_out(Path(arguments.folder))
            if others:
                kinds = ", ".join(f"{count:,} of {ending}" for ending, count in sorted(others.items()))
                print(f"galvatron-data images: left out what is no picture by its name: {kinds}", file=sys.stderr)
        _say_broken(summary.broken)
    else:
        summary = prepare_digits(arguments.output)
    if not arguments.quiet:
        shape = " x ".join(str(side) for side in summary.shape)
        print(f"  images   {summary.images:,} of {shape} bytes (channels x height x width)")
        print(f"  classes  {len(summary.classes)}: {', '.join(summary.classes[:10])}")
        print(f"  written  {arguments.output}.images.npy, .labels.npy, .images.json")
