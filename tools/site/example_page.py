"""A page of all files under examples/, which the tests run."""

from __future__ import annotations

import json
import re
from pathlib import Path

LANGUAGES = {".py": "python", ".sh": "bash", ".sbatch": "bash", ".yaml": "yaml", ".toml": "toml", ".json": "json"}
INTRODUCTION = """# Examples

The files under `examples/`. The tests run each of them, in a small form.
"""


def anchor(path: str) -> str:
    """Of a file or a folder of the repository."""
    return re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")


def page(root: Path) -> str:
    out = INTRODUCTION
    folder = None
    for path in sorted((root / "examples").rglob("*"), key=lambda path: (path.parent, path.name)):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        name = path.relative_to(root).as_posix()
        if path.parent != folder:
            folder = path.parent
            place = folder.relative_to(root).as_posix()
            out += f"\n## {place} {{ #{anchor(place)} }}\n"
        if path.suffix in LANGUAGES or not path.suffix:
            code = f"```{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text().rstrip()}\n```"
            out += f"\n### {path.name} {{ #{anchor(name)} }}\n\n{code}\n"
        elif path.suffix == ".ipynb":
            out += f"\n### {path.name} {{ #{anchor(name)} }}\n\n{notebook(path)}\n"
        elif path.suffix == ".md":
            out += "\n" + here(path.read_text().partition("\n")[2].strip(), name) + "\n"
    return out


def here(text: str, name: str) -> str:
    """With links to files beside it as places of this page."""
    folder = name.rpartition("/")[0]
    return re.sub(r"\]\(([^):#]+)\)", lambda link: f"](#{anchor(f'{folder}/{link[1]}')})", text)


def notebook(path: Path) -> str:
    """Its cells, without what they gave."""
    cells = json.loads(path.read_text())["cells"]
    texts = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in cells]
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in texts)
