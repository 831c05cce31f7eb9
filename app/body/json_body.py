"""A JSON body read, once it is clear that reading it can't take long: parsers let no other thread run meanwhile."""

from typing import Final, TypeVar

import msgspec

from app.errors import MalformedBodyError, MissingFieldError
from model.files import utf8

SLICE: Final = 1 << 18
"""Bytes that are looked at in one go; between two, other threads can run."""
MOST_OBJECTS: Final = 1000
MOST_VALUES: Final = 1000
"""Beside numbers of a tensor."""
_MOST_SAID: Final = 300

T = TypeVar("T")


def read_json(data: bytes, kind: type[T], numbers: int = 0) -> T:
    """`data` as `kind`, with as many `numbers` in lists as a tensor may have.

    Raises MalformedBodyError or MissingFieldError.
    """
    try:
        text = utf8(data)
        _check_counts(text, MOST_VALUES + numbers)
        return msgspec.json.decode(text, type=kind)
    except RecursionError:
        raise MalformedBodyError("the JSON is nested too deeply") from None
    except msgspec.ValidationError as error:
        wrong = MissingFieldError if "missing required field" in str(error) else MalformedBodyError
        raise wrong(f"the JSON: {str(error)[:_MOST_SAID]}") from None
    except ValueError as error:  # also msgspec.DecodeError and UnicodeDecodeError
        raise MalformedBodyError(f"the JSON can't be read: {str(error)[:_MOST_SAID]}") from None


def _check_counts(text: bytes, most_values: int) -> None:
    """By what stands before each of them; a sound text has some such characters in strings too, but few."""
    objects = values = 0
    for start in range(0, len(text), SLICE):
        piece = text[start : start + SLICE]
        objects += piece.count(b"{")
        values += len(piece) - len(piece.translate(None, b"[,"))
        if objects > MOST_OBJECTS or values > most_values:
            raise MalformedBodyError(f"the JSON has more than {MOST_OBJECTS} objects, or {most_values:,} values")
