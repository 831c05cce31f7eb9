"""JSON bodies, parsed only where that is quick: a parser lets no other thread run meanwhile."""

from typing import Final, TypeVar

import msgspec

from app.errors import MalformedBodyError, MissingFieldError
from model.files import utf8

SLICE: Final = 1 << 18
"""Bytes examined at once; between two slices other threads can run."""
MOST_OBJECTS: Final = 1000
MOST_VALUES: Final = 1000
"""Values other than a tensor's numbers."""
_MAX_DETAIL: Final = 300

T = TypeVar("T")


def read_json(data: bytes, kind: type[T], numbers: int = 0) -> T:
    """The JSON as an object of type `kind`; `numbers`: how many numbers a tensor in it may have.

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
        raise wrong(f"the JSON: {str(error)[:_MAX_DETAIL]}") from None
    except ValueError as error:  # also msgspec.DecodeError and UnicodeDecodeError
        raise MalformedBodyError(f"the JSON can't be read: {str(error)[:_MAX_DETAIL]}") from None


def _check_counts(text: bytes, most_values: int) -> None:
    """Count objects and values by the characters before them; valid texts have few of those in strings."""
    objects = values = 0
    for start in range(0, len(text), SLICE):
        piece = text[start : start + SLICE]
        objects += piece.count(b"{")
        values += len(piece) - len(piece.translate(None, b"[,"))
        if objects > MOST_OBJECTS or values > most_values:
            raise MalformedBodyError(f"the JSON has more than {MOST_OBJECTS} objects, or {most_values:,} values")
