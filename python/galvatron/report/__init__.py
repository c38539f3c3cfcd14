"""One self-contained HTML page about a training run: what `galvatron-report` writes."""

from galvatron.report.page import render_page
from galvatron.report.run_files import Run, read_run

__all__ = ["Run", "read_run", "render_page"]
