"""Generates values.schema.json and the tables of the chart's README.md from the comments of values.yaml.

The comment at the top of values.yaml describes their format. `generate.py` writes both files; `generate.py --check` fails
if they are outdated.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parents[2] / "charts" / "headgate"
VALUES = CHART / "values.yaml"
SCHEMA = CHART / "values.schema.json"
README = CHART / "README.md"

# Schemas that several values share, for "$ref".
DEFINITIONS = {
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "optionalPort": {"type": ["integer", "string", "null"], "pattern": "^([0-9]+)?$"},
}
NULL = {"type": "null"}


@dataclass
class Value:
    """A key of values.yaml with its comments."""

    path: tuple
    default: object
    doc: str = ""
    schema: dict | None = None
    no_effect: str | None = None
    # It has no effect although something is expected of it.
    unsupported: bool = False
    difference: str | None = None
    children: list = field(default_factory=list)


def read() -> list[Value]:
    """The tree of all values. One with @schema or without keys is a leaf."""
    lines = VALUES.read_text().splitlines()
    return _children(yaml.compose(VALUES.read_text()), (), lines)


def _children(mapping: yaml.MappingNode, path: tuple, lines: list[str]) -> list[Value]:
    return [_value(key, node, path, lines) for key, node in mapping.value]


def _value(key: yaml.ScalarNode, node: yaml.Node, path: tuple, lines: list[str]) -> Value:
    value = Value((*path, key.value), yaml.safe_load(yaml.serialize(node)))
    for line in _comments_above(key.start_mark.line, lines):
        if line.startswith("-- "):
            value.doc = line[3:]
        elif line.startswith("@schema "):
            value.schema = json.loads(line[8:])
        elif line.startswith("@no-effect "):
            value.no_effect = line[11:]
        elif line.startswith("@not-supported "):
            value.no_effect, value.unsupported = line[15:], True
        elif line.startswith("@difference "):
            value.difference = line[12:]
    is_leaf = value.doc or value.schema
    if isinstance(node, yaml.MappingNode) and node.value and not is_leaf:
        value.children = _children(node, value.path, lines)
    return value


def _comments_above(line: int, lines: list[str]) -> list[str]:
    found = []
    for text in reversed(lines[:line]):
        if not text.strip().startswith("#"):
            break
        found.insert(0, text.strip().removeprefix("#").strip())
    return found


def leaves(values: list[Value]) -> list[Value]:
    """All values without documented children."""
    return [leaf for value in values for leaf in (leaves(value.children) if value.children else [value])]


def _inferred(default: object) -> dict:
    kinds = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return {"type": kinds[type(default)]}


def _schema(value: Value) -> dict:
    if value.children:
        return _object(value.children)
    if value.no_effect:
        mark = "Not supported" if value.unsupported else "No effect"
        return {"description": f"{value.doc}. {mark}: {value.no_effect}"}
    doc = f"{value.doc}. Difference: {value.difference}" if value.difference else value.doc
    return {"description": doc, **_nullable(value.schema or _inferred(value.default))}


def _nullable(schema: dict) -> dict:
    """null removes a default. Helm removes the key then, but not at an upgrade with --reuse-values, for which the defaults
    are those of the former release, without it."""
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    if "type" not in schema:
        return {"anyOf": [schema, NULL]}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return schema | {"type": types if "null" in types else [*types, "null"]}


def _object(values: list[Value]) -> dict:
    """Unknown names are errors: a typing mistake would otherwise have no effect silently."""
    properties = {value.path[-1]: _schema(value) for value in values}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def schema(values: list[Value]) -> str:
    """The text of values.schema.json."""
    document = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the Headgate chart"}
    document |= _object(values)
    # In a subchart Helm adds the values of the parent under "global", and the condition that enables this chart.
    document["properties"]["global"]["additionalProperties"] = True
    document["properties"]["enabled"] = {"description": "Condition of a parent chart", "type": "boolean"}
    document["definitions"] = DEFINITIONS
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _default_text(default: object) -> str:
    text = json.dumps(default, ensure_ascii=False)
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def tables(values: list[Value]) -> dict[str, str]:
    """The tables of README.md by the name in their markers."""
    rows = leaves(values)
    effective = [
        f"| `{'.'.join(v.path)}` | {_cell(_default_text(v.default))} | {_cell(v.doc)} |" for v in rows if not v.no_effect
    ]
    ignored = [f"| `{'.'.join(v.path)}` | {_cell(v.no_effect)} |" for v in rows if v.no_effect]
    return {
        "values": "\n".join(["| Value | Default | Meaning |", "|---|---|---|", *effective]),
        "without effect": "\n".join(["| Value | Why it has no effect |", "|---|---|", *ignored]),
    }


def readme(values: list[Value], text: str) -> str:
    """README.md with its tables generated again."""
    for name, table in tables(values).items():
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{README}: expected one pair of {begin} and {end}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def outdated() -> list[Path]:
    """Files that do not match values.yaml."""
    values = read()
    expected = {SCHEMA: schema(values), README: readme(values, README.read_text())}
    return [path for path, text in expected.items() if not path.exists() or path.read_text() != text]


def main() -> None:
    if "--check" in sys.argv[1:]:
        stale = outdated()
        if stale:
            raise SystemExit(f"not current: {', '.join(map(str, stale))}; run tests/chart/generate.py")
        return
    values = read()
    SCHEMA.write_text(schema(values))
    README.write_text(readme(values, README.read_text()))


if __name__ == "__main__":
    main()
