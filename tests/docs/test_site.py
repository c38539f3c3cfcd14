"""What tools/site does to pages before and after the site is built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from page_blocks import ROOT

sys.path.insert(0, str(ROOT / "tools" / "site"))
import built_site
import stage


def page(folder: Path, name: str, body: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"<html><body>{body}</body></html>")


def test_dead_links_and_other_hosts_are_found(tmp_path: Path):
    page(
        tmp_path,
        "index.html",
        '<a href="sub/a.html#here">a</a> <a href="https://example.org">theirs</a> <img src="x.png">',
    )
    page(tmp_path, "sub/a.html", '<h1 id="here"></h1><a href="../index.html">back</a>')
    (tmp_path / "x.png").touch()
    assert list(built_site.problems(tmp_path)) == []
    page(
        tmp_path,
        "sub/b.html",
        '<a href="none.html"></a><a href="a.html#gone"></a><script src="https://cdn.example/x.js"></script>',
    )
    (tmp_path / "site.css").write_text("body { background: url(https://fonts.example/x.woff) }")
    found = "\n".join(built_site.problems(tmp_path))
    assert found.count("\n") == 3
    for words in ("nowhere: none.html", "not there: a.html#gone", "another host: https://cdn", "site.css: fetches"):
        assert words in found


def test_links_lead_to_the_place_in_the_site():
    assert (
        stage.with_links("[x](../examples/launch/local.sh)", "launching.md")
        == "[x](examples.md#examples-launch-local-sh)"
    )
    assert stage.with_links("[x](../../CONTRIBUTING.md)", "dev/a.md") == "[x](contributing.md)"
    assert stage.with_links("[x](docs/design/rooms.md#a)", "dev/contributing.md") == "[x](../design/rooms.md#a)"
    assert stage.with_links("[x](https://a.b/c.md) [y](#z)", "cli.md") == "[x](https://a.b/c.md) [y](#z)"
    with pytest.raises(SystemExit, match="no page of the site"):
        stage.with_links("[x](../src/main.cpp)", "cli.md")


def test_chinese_pages_lead_to_english_ones_where_there_is_no_other():
    chinese = {"concepts/index.md": "", "index.md": ""}
    text = "[a](index.md) [b](../planning.md#x) [c](../images/y.svg)"
    assert (
        stage.with_links(text, "concepts/index.md", chinese)
        == "[a](index.md) [b](../../planning.html#x) [c](../images/y.svg)"
    )


def test_lists_begin_with_an_empty_line():
    text = "words:\n- one\n- two\n  more\n\n```\nx\n- no list\n```"
    assert stage.with_empty_lines(text) == "words:\n\n- one\n- two\n  more\n\n```\nx\n- no list\n```"
