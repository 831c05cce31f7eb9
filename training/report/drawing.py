"""A chart's frame and its way into the page: one SVG that takes its colours from the page's style sheet."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# matplotlib wants colours, and light or dark is known in the browser only: these stand for the style sheet's variables.
INK: Final = "#a1b2c0"
MUTED: Final = "#a1b2c1"
GRID: Final = "#a1b2c2"
GOOD: Final = "#a1b2c3"
BAD: Final = "#a1b2c4"
ACCENT: Final = "#a1b2c5"
PAPER: Final = "#a1b2c6"
_VARIABLES: Final = {
    INK: "ink", MUTED: "muted", GRID: "grid", GOOD: "good", BAD: "bad", ACCENT: "accent", PAPER: "card",
}  # fmt: skip

_SIZE: Final = (5.0, 3.3)
"""Inches: 360 units wide, about as many as a phone has pixels, so that texts are readable there."""
_STYLE: Final = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.solid_capstyle": "round",
}


@dataclass
class Drawing:
    """Axes to draw on, and after `drawing` has ended the chart as SVG."""

    axes: Axes
    svg: Markup = field(default=Markup())


@contextmanager
def drawing(name: str, description: str, x: str, y: str) -> Iterator[Drawing]:
    """A chart whose ids begin with `name`, and with words for who can't see it."""
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):  # type: ignore[arg-type]  # its keys are literals there
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        chart = Drawing(axes)
        yield chart
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    chart.svg = _for_page(buffer.getvalue(), name, description)


def _for_page(document: str, name: str, description: str) -> Markup:
    """The svg element alone, as wide as the page lets it, in the page's font and colours."""
    body = document[document.index("<svg") :]
    view_box = re.search(r'viewBox="[^"]+"', body)
    assert view_box is not None
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)  # it would hold for the page
    body = re.sub(r"font-family: [^;\"]+;? ?", "", body)
    body = re.sub(r"\s*\n\s*", " ", body)
    body = body.replace("xlink:href", "href")
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    used = set(re.findall(r"[#]([\w.]+)[\")]", body))
    body = re.sub(r' id="([\w.]+)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", body)
    body = re.sub(r"#([\w.]+)([\")])", rf"#{name}-\1\2", body)
    head = f'<svg {view_box[0]} role="img" aria-labelledby="{name}-title"><title id="{name}-title">'
    return Markup(f"{head}{escape(description)}</title>{body}")  # safe: drawn here, from numbers
