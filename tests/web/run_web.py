"""Runs tests of the page: `run_web.py BINARY FILE` one file of them in a browser, `run_web.py --units` those without.

What is missing for it is a failure that says what to do: a page that nobody looked at is not a tested one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VISUALIZER = ROOT / "visualizer"


def find_program(*names: str) -> str | None:
    """Of the system, or a Node that `make page` has put into .venv."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(ROOT / ".venv/bin")])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def missing(node: str | None, chromium: str | None) -> str | None:
    if node is None:
        return "there is no Node: run tools/setup.sh test, which installs nodejs and npm"
    if chromium is None:
        return "there is no Chromium: run tools/setup.sh test, which installs it (or name it in CHROMIUM)"
    if not (VISUALIZER / "node_modules/.bin/playwright").exists():
        return "the page's packages are not installed: run make page"
    if not (VISUALIZER / "dist/index.html").exists():
        return "the page is not built: run make page, then build galvatron again"
    return None


def main() -> int:
    units = sys.argv[1:] == ["--units"]
    node = find_program("node")
    chromium = os.environ.get("CHROMIUM") or find_program("chromium", "chromium-browser")
    if problem := missing(node, "none needed" if units else chromium):
        print(problem, file=sys.stderr)
        return 1
    environment = dict(os.environ)
    if units:
        words = ["node_modules/vitest/vitest.mjs", "run"]
    else:
        binary, file = sys.argv[1:]
        environment |= {"GALVATRON_BINARY": binary, "CHROMIUM": str(chromium)}
        words = ["node_modules/@playwright/test/cli.js", "test", file, "--output", f"test-results/{file}"]
    return subprocess.run([str(node), *words], cwd=VISUALIZER, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
