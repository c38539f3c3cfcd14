"""The HTTP API of the visualizer as a page, made of docs/openapi.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Schema = dict[str, Any]


def page(path: Path) -> str:
    api = json.loads(path.read_text())
    out = f"# HTTP API\n\n{api['info']['title']}: {api['info']['summary'].lower()}. {api['info']['description']}\n\n"
    out += "The page is made of [openapi.json](../openapi.json), which the server gives at `/openapi.json`.\n\n"
    out += "## Requests\n\n"
    for route, methods in api["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post"):
                out += _operation(method, route, operation)
    out += "## Values\n\n"
    for name, schema in api["components"]["schemas"].items():
        out += _value(name, schema)
    return out


def _operation(method: str, route: str, operation: Schema) -> str:
    out = f"### `{method.upper()} {route}`\n\n{operation['summary']}. {operation.get('description', '')}\n\n"
    for parameter in operation.get("parameters", []):
        if "name" in parameter:
            out += f"- `{parameter['name']}` ({parameter['in']}): {_text(parameter)}\n"
    body = operation.get("requestBody")
    if body:
        for schema in body["content"].values():
            out += _fields("Takes", schema.get("schema", {}))
    for status, answer in operation["responses"].items():
        if not status.startswith("2"):
            continue
        for kind, content in answer.get("content", {}).items():
            out += f"\nGives `{kind}`: {_type(content.get('schema', {}))}\n"
    failures = [f"`{status}`" for status in operation["responses"] if not status.startswith("2")]
    return out + f"\nFailures: {', '.join(failures)}, each with one sentence.\n\n"


def _value(name: str, schema: Schema) -> str:
    out = f"### {name}\n\n{schema.get('description', '')}\n\n"
    if "properties" in schema:
        return out + _table(schema)
    return out + f"{_type(schema)}\n\n"


def _fields(word: str, schema: Schema) -> str:
    """What is asked for: its fields where they are written in place."""
    kinds = schema.get("oneOf", [schema])
    out = ""
    for i, kind in enumerate(kinds):
        if "properties" in kind:
            out += f"{word if i == 0 else 'or'}:\n\n" + _table(kind)
        else:
            out += f"{word if i == 0 else 'or'} {_type(kind)}\n\n"
    return out


def _table(schema: Schema) -> str:
    required = schema.get("required", [])
    out = "| field | type | holds |\n|---|---|---|\n"
    for name, field in schema["properties"].items():
        mark = "" if name in required else " (optional)"
        out += f"| `{name}`{mark} | {_type(field)} | {_text(field)} |\n"
    return out + "\n"


def _text(field: Schema) -> str:
    words = field.get("description", "").replace("|", "\\|").replace("\n", " ")
    limits = [
        f"{words} {field[key]}"
        for key, words in (("minimum", "at least"), ("maximum", "at most"), ("maxLength", "letters at most"))
        if key in field
    ]
    return " ".join([words, f"({', '.join(limits)})" if limits else ""]).strip()


def _type(schema: Schema) -> str:
    """In one line, with links to the values that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for word in ("oneOf", "anyOf", "allOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[word]))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(one)}`" for one in schema["enum"])
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(kind)
