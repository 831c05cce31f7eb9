"""By how much a large image is made smaller before it is resized: a power of two that decoders give at little cost."""

from typing import Final

_FACTORS: Final = (8, 4, 2)


def reduction(width: int, height: int, least: int) -> int:
    """The largest of 8, 4 and 2 that divides both sides and leaves at least `least` pixels of each; 1: none does.

    Where a side isn't a multiple, its last pixel would stand for fewer than the others, and all would lie askew.
    """
    sides = (width, height)
    fitting = (k for k in _FACTORS if all(side % k == 0 and side >= k * least for side in sides))
    return next(fitting, 1)
