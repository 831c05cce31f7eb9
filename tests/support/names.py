"""docs/names.md, generated from the code: `python -m tests.support.names` writes it."""

import argparse
import ast
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, get_args
from unittest.mock import patch

import msgspec
from fastapi import FastAPI
from prometheus_client import ProcessCollector

from app.__main__ import PARSERS
from app.application import create_app
from app.errors import TABLE
from app.monitoring.logs import JsonFormatter
from app.monitoring.request_record import ImageRecord, RequestRecord, Step, StepName
from app.settings import Settings
from app.v2.request import OUTPUTS, inputs_of
from model.manifest import Manifest
from model.verdict import Verdict
from tests.support.process import ROOT
from training.cli import parse

FILE: Final = ROOT / "docs" / "names.md"
Row = tuple[str, str]
"""A name and its meaning."""

_INTRODUCTION: Final = """# Public names

Every name that a client, an operator or a script can depend on. A name that changes stands in the
[changelog](../CHANGELOG.md). The page is generated from the code by `python -m tests.support.names`; a test holds that
it is up to date. Settings of the service, as flags and environment variables: [configuration.md](configuration.md).
"""


class _ParserError(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def document() -> str:
    """The whole page."""
    with tempfile.TemporaryDirectory() as store:
        app = create_app(Settings(store=Path(store)))
    openapi = app.openapi()
    sections = {
        "Addresses": _addresses(openapi),
        "Parameters and headers": _parameters(openapi),
        "Members of JSON: replies, manifest.json, serving.json": _members(
            openapi["components"]["schemas"] | _definitions(Manifest)
        ),
        "Values of a problem's `error`": [(problem.error, str(problem.status)) for problem in TABLE.values()],
        "Inputs, outputs and parameters under /v2": _tensors(),
        "Metrics": _metrics(app),
        "Log fields": [(name, _docstrings()["RequestRecord"].get(name, "")) for name in _log_fields()],
        "Commands": _commands(),
    }
    return _INTRODUCTION + "".join(_section(title, rows) for title, rows in sections.items())


def _section(title: str, rows: list[Row]) -> str:
    lines = [f"| `{name}` | {_line(meaning)} |" for name, meaning in rows]
    return "\n".join(["", f"## {title}", "", "| name | meaning |", "|---|---|", *lines, ""])


def _line(text: str) -> str:
    """Its first paragraph, in one line of a table."""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "or")


def _addresses(openapi: dict[str, Any]) -> list[Row]:
    return [
        (f"{', '.join(method.upper() for method in operations)} {path}", next(iter(operations.values()))["description"])
        for path, operations in openapi["paths"].items()
    ]


def _parameters(openapi: dict[str, Any]) -> list[Row]:
    found: dict[str, str] = {}
    for path_item in openapi["paths"].values():
        for operation in path_item.values():
            for parameter in operation.get("parameters", []):
                values = _values(parameter["schema"])
                found.setdefault(parameter["name"], f"{parameter['in']}: {parameter.get('description', '')}{values}")
            for reply in operation["responses"].values():
                for name, header in reply.get("headers", {}).items():
                    found.setdefault(name, f"of the reply: {header.get('description', '')}")
    return sorted(found.items())


def _members(schemas: dict[str, Any]) -> list[Row]:
    """Members of all schemas, in order."""
    rows = []
    for title, schema in schemas.items():
        for name, member in schema.get("properties", {}).items():
            meaning = member.get("description") or _docstrings().get(title, {}).get(name, "")
            rows.append((f"{title}.{name}", meaning + _values(member)))
    return rows


def _values(schema: dict[str, Any]) -> str:
    """The values of an enumeration, as an end of its meaning."""
    values = [value for form in (schema, *schema.get("anyOf", [])) for value in form.get("enum", [])]
    return " " + ", ".join(f"`{value}`" for value in values) if values else ""


def _definitions(kind: type[Any]) -> dict[str, Any]:
    return msgspec.json.schema_components([kind])[1]


def _tensors() -> list[Row]:
    inputs = [(name, f"input, {datatype} {shape}") for name, (datatype, shape) in inputs_of(224, 224).items()]
    outputs = [(name, f"output, {datatype} {shape}") for name, (datatype, shape) in OUTPUTS.items()]
    parameters = [
        ("binary_data_size", "parameter of a tensor: bytes of its binary data"),
        ("binary_data", "parameter of a requested output: send it as binary data"),
        ("binary_data_output", "parameter of the request: send all outputs as binary data"),
    ]
    return inputs + outputs + parameters


def _metrics(app: FastAPI) -> list[Row]:
    """The service's own; those of the process are prometheus-client's."""
    others = {metric.name for metric in ProcessCollector(registry=None).collect()}
    endings = {"counter": "_total", "info": "_info"}
    return [
        (metric.name + endings.get(metric.type, ""), metric.documentation)
        for metric in app.state.service.metrics.registry.collect()
        if metric.name not in others
    ]


def _log_fields() -> list[str]:
    """Fields of JSON lines: those of all lines, then those of a request's."""
    steps = [Step(name, 0, 0) for name in get_args(StepName)]
    record = RequestRecord("r", "POST", "p", key="k", error="e", model="m", version=1)
    record.images.append(ImageRecord(Verdict("good", "accept", 0.1, -2.2), steps))
    try:
        raise ValueError
    except ValueError:
        error = logging.LogRecord("x", logging.ERROR, "", 0, "", None, sys.exc_info())
    fields = json.loads(JsonFormatter("s", "l").format(error)) | record.fields()
    times = fields.pop("ms")
    return [*fields, *(f"ms.{name}" for name in times)]


def _commands() -> list[Row]:
    """Commands, and flags with the commands that take them. `serve` has the settings."""
    parsers = {name: _parser(partial(parse_flags, ["--none"])) for name, parse_flags in PARSERS.items()}
    training = _parser(lambda: parse([]))
    parsers |= next(action.choices for action in training._actions if isinstance(action.choices, dict))
    rows = [("serve", "Run the service.")]
    rows += [(name, parser.description or "") for name, parser in parsers.items()]
    flags: dict[str, list[str]] = {}
    for command, parser in parsers.items():
        for action in parser._actions:
            for flag in action.option_strings[-1:]:
                meaning = (action.help or "") % {"default": action.default}
                flags.setdefault(f"{flag}` | {meaning.strip()}", []).append(command)
    del flags[next(flag for flag in flags if flag.startswith("--help"))]
    for row, commands in flags.items():
        flag, _, meaning = row.partition("` | ")
        rows.append((flag, f"{', '.join(commands)}: {meaning}"))
    return rows


def _parser(call: Callable[[], object]) -> argparse.ArgumentParser:
    """The parser with which `call` would parse."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _ParserError(parser)

    with patch.object(argparse.ArgumentParser, "parse_args", stop):
        try:
            call()
        except _ParserError as caught:
            return caught.parser
    raise AssertionError("nothing was parsed")


@cache
def _docstrings() -> dict[str, dict[str, str]]:
    """Docstrings of attributes by class, from the sources of app/ and model/."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted([*(ROOT / "app").rglob("*.py"), *(ROOT / "model").rglob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, {}).update(_attributes(node))
    return found


def _attributes(node: ast.ClassDef) -> Iterator[Row]:
    for attribute, text in zip(node.body, node.body[1:], strict=False):
        match attribute, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                yield name, meaning


if __name__ == "__main__":
    FILE.write_text(document())
