"""Numbers as people read them: rates in percent, probabilities and thresholds as decimals."""

from collections.abc import Mapping
from typing import Any

import msgspec

from model.figures import Estimate

_SPACE = "\N{NO-BREAK SPACE}"


def percent(share: float) -> str:
    """0.0423 as "4.2 %"; more digits where one would make a rare thing look impossible, or sure."""
    digits = 1
    while digits < 4 and 0.0 < share < 1.0 and float(f"{100 * share:.{digits}f}") in (0.0, 100.0):
        digits += 1
    text = f"{100 * share:.{digits}f}"
    return f"{text.removesuffix('.0')}{_SPACE}%"


def ppm(share: float) -> str:
    """Parts per million: 0.0012 as "1,200 ppm"."""
    return f"{share * 1e6:,.0f}{_SPACE}ppm"


def interval(estimate: Estimate) -> str:
    """The 95 % interval, "0.9–7.8 %"."""
    return f"{percent(estimate.low).removesuffix(f'{_SPACE}%')}–{percent(estimate.high)}"


def span(estimate: Estimate) -> str:
    """The 95 % interval of what is no share, "0.021–0.034"; a dash where the bootstrap found no width (no overlap)."""
    return f"{decimal(estimate.low)}–{decimal(estimate.high)}" if estimate.low < estimate.high else "–"


def likely(estimate: Estimate) -> str:
    """ " (likely 0.021–0.034)", or nothing where that isn't known."""
    return f" (likely {span(estimate)})" if estimate.low < estimate.high else ""


def decimal(value: float) -> str:
    """Three significant digits, "0.0909", and more where 0.9996 would become 1; never with an exponent."""
    text = f"{value:.3g}"
    rounded_up = value < 1 and float(text) >= 1
    return f"{value:.6f}".rstrip("0").rstrip(".") if rounded_up or "e" in text else text


def count(number: float) -> str:
    """1234.4 as "1,234"; below 10 with a digit where it has one."""
    if 0 < number < 10:
        return f"{number:.1f}".removesuffix(".0")
    return f"{number:,.0f}"


def out_of(share: float) -> str:
    """0.033 as "3 of 100", 0.004 as "4 of 1,000"."""
    base = next((base for base in (100, 1_000, 10_000) if share * base >= 1), 100_000)
    return f"{share * base:.0f} of {base:,}"


def moment(created: str) -> str:
    """An ISO 8601 time in UTC, to the minute."""
    return f"{created[:16].replace('T', ' ')} UTC"


def duration(seconds: float) -> str:
    """95 as "1 min 35 s"."""
    if seconds < 10:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_SPACE}s"
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60}{_SPACE}s"
    return f"{whole // 3600}{_SPACE}h {whole % 3600 // 60}{_SPACE}min"


def sentence(text: str) -> str:
    """A text with a capital and a full stop; a per cent sign stays on its number's line."""
    text = text.strip().replace(" %", f"{_SPACE}%")
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?:" else ".")


def settings(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Every member by its dotted name, as text."""
    found: dict[str, str] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping) and value:
            found |= settings(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return found
