"""`galvatron-report`: a run's folder in, one HTML page out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from galvatron import __version__
from galvatron.command_line import Parser, run_command

_DESCRIPTION = """\
Write one self-contained HTML page about a training run.

It reads RUN_DIR/metrics.jsonl and, where they are there, run.json (its options), plan.json (the plan), summary.json
(predicted and measured step time and memory per rank) and trace.json (the timeline of one step).
The page needs no network: it can be mailed or archived.
"""


def make_parser() -> Parser:
    parser = Parser(prog="galvatron-report", description=_DESCRIPTION)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="folder of the run (galvatron train --metrics)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the page (default: RUN_DIR/report.html)")
    parser.add_argument("--version", action="version", version=f"galvatron {__version__}")
    return parser


def run(arguments: argparse.Namespace) -> None:
    from galvatron.files import AtomicFiles
    from galvatron.report.run_files import read_run

    run_files = read_run(arguments.run_dir)
    from galvatron.report.page import render_page  # plotly takes a second to load

    output = arguments.output or arguments.run_dir / "report.html"
    with AtomicFiles() as files:
        files.write_text(output, render_page(run_files))
        files.commit()
    print(output)


def main(argv: list[str] | None = None) -> int:
    arguments = make_parser().parse_args(argv)
    return run_command("galvatron-report", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
