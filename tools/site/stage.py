#!/usr/bin/env python3
"""Everything that the site's builder takes, in build/docs: pages in en and zh, and a configuration for each.

- Pages that are made of other files: the C++ API, the HTTP API, the examples, CONTRIBUTING.md and CHANGELOG.md.
- Links of pages to files outside docs/ lead to these pages; Chinese pages lead to English ones where there is no other.
- Lists begin with an empty line before them: the sites that show the sources need none, Python-Markdown does.
- Rooms are added to the navigation. A page that is not there yet is left out where MISSING names it.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import cpp_pages
import example_page
import http_page
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"
STAGED = ROOT / "build" / "docs"
# Pages of the site that are files outside docs/.
OUTSIDE = {"dev/contributing.md": "CONTRIBUTING.md", "dev/changes.md": "CHANGELOG.md"}
EXAMPLES = "examples.md"
CPP = "reference/cpp.md"
# Pages written beside another change, which may come after this one.
MISSING = {page for page in ("lightning.md",) if not (DOCS / page).exists()}
CHINESE = ".zh.md"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")
LIST_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


def english_pages() -> dict[str, str]:
    """Path in the site -> Markdown."""
    made = {
        path.relative_to(DOCS).as_posix(): path.read_text()
        for path in sorted(DOCS.rglob("*.md"))
        if not path.name.endswith(CHINESE)
    }
    made |= {page: (ROOT / source).read_text() for page, source in OUTSIDE.items()}
    made |= cpp_pages.pages(ROOT)
    made["reference/http.md"] = http_page.page(DOCS / "openapi.json")
    made[EXAMPLES] = example_page.page(ROOT)
    return made


def chinese_pages() -> dict[str, str]:
    return {
        path.relative_to(DOCS).as_posix().replace(CHINESE, ".md"): path.read_text()
        for path in sorted(DOCS.rglob(f"*{CHINESE}"))
    }


def place_of(target: str) -> str:
    """Where a file of the repository is in the site."""
    pages_of = {source: page for page, source in OUTSIDE.items()}
    if target in pages_of:
        return pages_of[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if target.startswith("examples"):
        return f"{EXAMPLES}#{example_page.anchor(target)}"
    sys.exit(f"a page links to {target}, which is no page of the site: give it a place in tools/site/stage.py")


def with_links(markdown: str, page: str, chinese: dict[str, str] | None = None) -> str:
    """Links as seen from the page's place. `chinese`: the pages that its own language has."""
    source = OUTSIDE.get(page, posixpath.join("docs", page))

    def replace(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match["path"]))
        path, _, own_anchor = place_of(target).partition("#")
        anchor = f"#{own_anchor}" if own_anchor else match["anchor"] or ""
        path = posixpath.relpath(path, posixpath.dirname(page) or ".")
        if chinese is not None and target.endswith(".md") and target.removeprefix("docs/") not in chinese:
            up = "../" * (page.count("/") + 1)  # out of zh/
            path = up + posixpath.normpath(posixpath.join(posixpath.dirname(page), path)).replace(".md", ".html")
        return path + anchor

    return LINK.sub(replace, markdown)


def with_empty_lines(markdown: str) -> str:
    out: list[str] = []
    in_fence = in_list = False
    for line in markdown.split("\n"):
        if line.lstrip().startswith("```"):
            in_fence = not in_fence
        item = not in_fence and LIST_ITEM.match(line) is not None
        if item and not in_list and out and out[-1].strip():
            out.append("")
        in_list = item or (in_list and line.startswith("  "))
        out.append(line)
    return "\n".join(out)


def without_missing(markdown: str) -> str:
    """Words in the place of links to what is not there."""
    for page in MISSING:
        markdown = re.sub(rf"\[([^\]]+)\]\((?:\.\./)*{re.escape(page)}(?:#[^)]*)?\)", r"\1", markdown)
    return markdown


def write(folder: Path, pages: dict[str, str], chinese: dict[str, str] | None = None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for page, text in pages.items():
        path = folder / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(with_empty_lines(with_links(without_missing(text), page, chinese)))
    for path in DOCS.rglob("*"):
        if path.is_file() and path.suffix != ".md":
            copy = folder / path.relative_to(DOCS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)


def navigation(entries: list[Any], pages: dict[str, str]) -> list[Any]:
    out: list[Any] = []
    for entry in entries:
        ((title, value),) = entry.items() if isinstance(entry, dict) else [("", entry)]
        if isinstance(value, list):
            out.append({title: navigation(value, pages)})
        elif value == CPP:
            rooms = [{Path(page).stem: page} for page in pages if page.startswith(f"{cpp_pages.FOLDER}/")]
            out.append({title: [value, *rooms]})
        elif value not in MISSING:
            out.append(entry)
    return out


def write_configuration(pages: dict[str, str]) -> None:
    yaml.SafeLoader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)  # for the builder alone
    base = yaml.safe_load((HERE / "mkdocs.yml").read_text())
    own = {"INHERIT": "../../tools/site/mkdocs.yml", "nav": navigation(base["nav"], pages)}
    (STAGED / "en.yml").write_text(yaml.safe_dump(own, sort_keys=False, allow_unicode=True))
    shutil.copy(HERE / "mkdocs.zh.yml", STAGED / "zh.yml")


def main() -> None:
    english, chinese = english_pages(), chinese_pages()
    write(STAGED / "en", english)
    write(STAGED / "zh", chinese, chinese)
    write_configuration(english)


if __name__ == "__main__":
    main()
