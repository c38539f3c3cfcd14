"""Every code block of these pages runs, and prints what the page says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from package_testing import needs_module
from page_blocks import ROOT, Runner, blocks_of, commands_of, environment, matches

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: models are too small for more
DOCS = ROOT / "docs"
FOLDERS = ("concepts", "reading", "tutorials")
PAGES = ["index.md", "own_models.md", "planning.md", "python.md", "questions.md", "quickstart.md"]
PAGES += sorted(path.relative_to(DOCS).as_posix() for folder in FOLDERS for path in (DOCS / folder).glob("*.md"))
PAGES = [page for page in PAGES if not page.endswith(".zh.md")]
# In a cell: what was answered, and by which command.
ANSWER = re.compile(r"((?:fits|does not fit): [^|`<]*): `(galvatron search [^`]*)`")
SLURM = "tutorials/slurm.md"  # tests/cli/test_launch_slurm.py: on a Slurm


def needs(page: str) -> list[pytest.MarkDecorator]:
    return [needs_module] if "import galvatron" in (DOCS / page).read_text() else []


@pytest.mark.parametrize("page", [pytest.param(page, marks=needs(page)) for page in PAGES if page != SLURM])
def test_a_page_runs(page: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = list(blocks_of((DOCS / page).read_text()))
    assert blocks, "a page of this list has something to run"
    runner = Runner(f"docs/{page}", tmp_path, environment())
    for block in blocks:
        runner.run(block)


def test_chinese_pages_have_the_same_blocks():
    def codes(path: Path) -> list[str]:
        return [block.code for block in blocks_of(path.read_text())]

    pages = sorted(DOCS.rglob("*.zh.md"))
    assert len(pages) >= 7
    for page in pages:
        assert codes(page) == codes(page.with_name(page.name.replace(".zh.md", ".md"))), page


def test_answers_in_tables_are_those_of_their_commands(tmp_path: Path):
    runner = Runner("docs/questions.md", tmp_path, environment())
    answers = ANSWER.findall((ROOT / runner.page).read_text())
    assert len(answers) >= 10
    for answer, command in answers:
        printed = "\n".join(runner.printed(command))
        fits = re.fullmatch(r"fits: (.*) a step, (.*)", answer)
        said = (
            f"predicted step {fits[1]} ({fits[2]})"
            if fits
            else answer.removeprefix("does not fit: ").removesuffix(" a device")
        )
        assert said in printed, f"$ {command}\n{printed}"


def test_every_language_of_the_pages_is_known():
    """A block in another spelling would silently not run."""
    for page in PAGES:
        in_block = False
        for line in (DOCS / page).read_text().splitlines():
            if line.startswith("```"):
                language = line[3:].split(" ")[0]
                known = ("", "bash", "console", "json", "python", "text", "toml")
                assert in_block or language in known, f"docs/{page}: {line}"
                in_block = not in_block


def test_what_is_printed_is_held_against_the_page():
    ((command, expected),) = commands_of("$ echo a \\\n  b\n...\nc\n")
    assert command == "echo a \\\n  b"
    assert matches(expected, ["a b", "c"]) and matches(expected, ["c"])
    assert not matches(expected, ["a b", "c", "d"]) and not matches(expected, [])
    assert not matches(["a"], ["a", "b"]) and not matches(["a", "b"], ["a"])


def test_a_block_that_fails_fails_its_page(tmp_path: Path):
    runner = Runner("a page", tmp_path, dict(os.environ))
    for text in ("```bash\nfalse\ntrue\n```", "```python\n1 / 0\n```", "```console\n$ echo a\nb\n```"):
        (block,) = blocks_of(text)
        with pytest.raises((AssertionError, ZeroDivisionError)):
            runner.run(block)
    assert not list(blocks_of("<!-- not run: it is slow -->\n```bash\nfalse\n```"))
