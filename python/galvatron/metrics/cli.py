"""`galvatron-metrics`: the metrics of a run, live or finished, for TensorBoard and Weights & Biases."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Callable, Iterable

from galvatron import __version__
from galvatron.command_line import ConfigError, Parser, run_command
from galvatron.files import user_path
from galvatron.metrics.follow import Line, Place, follow, whole_lines
from galvatron.metrics.loggers import Logger, TensorBoard, WandB

_DESCRIPTION = """\
Bring the metrics of a run to where people look.

RUN is the folder of a run (--run-dir) or its metrics file (--metrics).
"""

_EXAMPLES = """\
examples:
  galvatron-metrics tensorboard run                     # event files in run/tensorboard
  galvatron-metrics tensorboard run --follow            # while it trains, until it ends
  galvatron-metrics wandb run --project gpt --offline   # `wandb sync` sends it later
"""


def make_parser() -> Parser:
    parser = Parser(prog="galvatron-metrics", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"galvatron {__version__}")
    kinds = parser.add_subparsers(dest="kind", parser_class=Parser, required=True, metavar="tensorboard|wandb")
    common = Parser(add_help=False)
    common.add_argument("run", type=user_path, metavar="RUN", help="folder of a run, or its metrics file")
    common.add_argument("--follow", action="store_true", help="go on while the run does, until it has ended")
    common.add_argument("--until-input-ends", action="store_true", help="with --follow: or standard input has")
    common.add_argument("--quiet", action="store_true", help="print nothing")
    board = kinds.add_parser("tensorboard", parents=[common], help="event files")
    board.add_argument(
        "--output", type=user_path, metavar="DIR", help="folder of event files; default: RUN/tensorboard"
    )
    wandb = kinds.add_parser("wandb", parents=[common], help="a run of Weights & Biases")
    wandb.add_argument("--project", default="galvatron", help="default: galvatron")
    wandb.add_argument("--name", help="of the run; default: W&B chooses one")
    wandb.add_argument("--offline", action="store_true", help="keep it in --output; `wandb sync` sends it later")
    wandb.add_argument("--output", type=user_path, metavar="DIR", help="where W&B keeps its files; default: RUN")
    return parser


def run(arguments: argparse.Namespace) -> None:
    place = Place.of(arguments.run)
    folder = place.folder or place.metrics.parent
    logger: Logger
    if arguments.kind == "tensorboard":
        output = arguments.output or folder / "tensorboard"
        logger = TensorBoard(output)
    else:
        output = arguments.output or folder
        mode = "offline" if arguments.offline else None
        logger = WandB(arguments.project, name=arguments.name, mode=mode, folder=output)
    if arguments.follow:
        lines: Iterable[Line] = follow(place, _ends(arguments.until_input_ends))
    else:
        lines = whole_lines(place)
        if not lines:
            raise ConfigError(f"[metrics] {place.metrics} holds no step yet: wait for one, or --follow the run")
    count = tell(logger, place, lines)
    if not arguments.quiet:
        print(f"{output}: {count} step{'' if count == 1 else 's'}")


def tell(logger: Logger, place: Place, lines: Iterable[Line]) -> int:
    """All lines to a logger; returns how many."""
    count = 0
    try:
        for line in lines:
            if count == 0 or line.begins_again:
                logger.start(place.start())
            logger.log(line.record, line.wall_time)
            count += 1
    finally:
        logger.finish()
    return count


def _ends(with_input: bool) -> Callable[[], bool]:
    if not with_input:
        return lambda: False

    def has_ended() -> bool:
        ready, _, _ = select.select([sys.stdin], [], [], 0)
        return bool(ready) and os.read(sys.stdin.fileno(), 1) == b""

    return has_ended


def main() -> int:
    arguments = make_parser().parse_args()
    return run_command("galvatron-metrics", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
