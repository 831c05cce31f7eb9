"""One language: words that docs/concepts.md replaces don't come back, in names or in texts."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("app", "benchmarks", "camspector", "examples", "model", "tests", "training")
OTHERS = ("app/docs/*",)  # Swagger UI's
TEXTS = ("*.md", "Dockerfile", "Makefile", "docker-compose.yml", "pyproject.toml", "deploy/**/*.*", "docs/*.md")


@dataclass(frozen=True)
class Replaced:
    """A row of the table."""

    word: str
    instead: str
    names: bool
    texts: bool
    files: tuple[str, ...]
    """Where the word is right."""
    phrases: tuple[str, ...]
    """Other people's names."""

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(rf"\b{re.escape(self.word)}\b", re.IGNORECASE)


def table() -> list[Replaced]:
    section = (ROOT / "docs" / "concepts.md").read_text().partition("\n## Words that are not used\n")[2]
    replaced = []
    for row in re.findall(r"^\| (?!not \|)(.+) \|$", section, re.MULTILINE):
        words, instead, where, exceptions = (cell.strip() for cell in row.split("|"))
        kept = re.findall("`([^`]+)`", exceptions)
        files, phrases = [each for each in kept if "/" in each], [each for each in kept if "/" not in each]
        replaced += [
            Replaced(word, instead, "names" in where, "texts" in where, tuple(files), tuple(phrases))
            for word in words.split(", ")
        ]
    return replaced


def spelt_out(name: str) -> str:
    """ofACamel_case → of a camel case."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)).lower()


def bound_names(tree: ast.AST) -> Iterator[str]:
    """What this file itself gives a name to: not what others call theirs."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name


@cache
def python_files() -> dict[str, str]:
    paths = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(paths)}


@cache
def names() -> dict[str, set[str]]:
    """By file, with the file's own and its folders'."""
    return {file: {*bound_names(ast.parse(text)), file} for file, text in python_files().items()}


@cache
def texts() -> dict[str, str]:
    """By file, what people read; of docs/concepts.md what comes before the table."""
    paths = [path for pattern in TEXTS for path in ROOT.glob(pattern)]
    paths += [path for pattern in ("*.html", "*.toml") for path in (ROOT / "training").rglob(pattern)]
    paths += [path for pattern in ("*.html", "*.js") for path in (ROOT / "app" / "page").glob(pattern)]
    found = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(paths)} | python_files()
    found["docs/concepts.md"] = found["docs/concepts.md"].partition("\n## Words that are not used\n")[0]
    return {file: text for file, text in found.items() if file != "tests/test_vocabulary.py"}


def test_the_table_is_read() -> None:
    assert len(table()) > 20
    assert {each.names or each.texts for each in table()} == {True}


def test_names_are_spelt_out() -> None:
    assert spelt_out("HTTPPicture_of2Places") == "http picture of places"
    source = (
        "import numpy as shelf\nclass Errand:\n    lane: int\n    def judge(self, photo): self.places = photo.picture"
    )
    assert {*bound_names(ast.parse(source))} == {"shelf", "Errand", "lane", "judge", "self", "photo", "places"}


@pytest.mark.parametrize("replaced", [each for each in table() if each.names], ids=lambda replaced: replaced.word)
def test_a_replaced_word_is_no_name(replaced: Replaced) -> None:
    """A test's name is a sentence."""
    found = [
        f"{file}: {name}"
        for file, bound in names().items()
        if file not in replaced.files
        for name in sorted(bound)
        if replaced.pattern.search(spelt_out(name)) and (replaced.texts or not name.startswith("test_"))
    ]
    assert not found, f"{replaced.instead} instead of {replaced.word}"


@pytest.mark.parametrize("replaced", [each for each in table() if each.texts], ids=lambda replaced: replaced.word)
def test_a_replaced_word_is_in_no_text(replaced: Replaced) -> None:
    found = [
        f"{file}:{number}: {line.strip()}"
        for file, text in texts().items()
        if file not in replaced.files
        for number, line in enumerate(text.splitlines(), 1)
        if replaced.pattern.search(without(line, replaced.phrases))
    ]
    assert not found, f"{replaced.instead} instead of {replaced.word}"


def without(line: str, phrases: Iterable[str]) -> str:
    for phrase in phrases:
        line = line.replace(phrase, "")
    return line
