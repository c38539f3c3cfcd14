"""What is wrong with a built site: links that lead nowhere, and anything that a page would fetch from another host.

tools/site/built_site.py site
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself; an <a> is followed by people.
FETCHED = {
    "audio": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "script": "src",
    "source": "src",
    "video": "src",
}


class PageParser(HTMLParser):
    """Anchors of a page, and (tag, address) of all that it names."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.addresses: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for key in ("id", "name"):
            if given.get(key):
                self.anchors.add(str(given[key]))
        address = given.get("href" if tag == "a" else FETCHED.get(tag, ""))
        if address and not (tag == "link" and given.get("rel") in ("canonical", "alternate")):
            self.addresses.append((tag, address))


def read(site: Path) -> dict[Path, PageParser]:
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path.resolve()] = parser = PageParser()
        parser.feed(path.read_text())
    return pages


def problems(site: Path) -> Iterator[str]:
    pages = read(site)
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        for tag, address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if tag != "a":
                    yield f"{name}: <{tag}> comes from another host: {address}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if path.name == "404.html":  # its addresses begin at the server's root
                continue
            if not target.exists():
                yield f"{name}: a link leads nowhere: {address}"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name}: a link's anchor is not there: {address}"
    for path in sorted(site.rglob("*.css")):
        if "url(http" in path.read_text() or "@import url(//" in path.read_text():
            yield f"{path.relative_to(site)}: fetches from another host"


def main() -> int:
    found = list(problems(Path(sys.argv[1])))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
