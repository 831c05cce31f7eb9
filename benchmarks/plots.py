"""Plots of what `make bench` measured, for docs/performance.md.

python -m benchmarks.plots --json run/bench --out run/bench
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_OURS, _OTHERS = "#2563a8", "#9aa3ad"


def read(folder: Path, name: str) -> tuple[list[dict[str, Any]], str]:
    """A table's rows, and the processor it was measured on."""
    content = json.loads((folder / f"{name}.json").read_text())
    return content["rows"], f"{content['machine']['processor']}, {content['machine']['cpus']} CPUs"


def bars(axes: Axes, title: str, labels: list[str], values: list[float], ours: list[bool]) -> None:
    """One bar a label, from the top, with its value beside it."""
    positions = range(len(labels))
    drawn = axes.barh(positions, values, color=[_OURS if own else _OTHERS for own in ours])
    axes.bar_label(drawn, fmt="%.3g", padding=3)
    axes.set_yticks(positions, labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max(values))
    axes.set_title(title, loc="left", fontsize=10)


def service(folder: Path) -> Figure:
    """Images a second under load, and how long one idle client waits, by service."""
    rows, processor = read(folder, "service")
    figure = Figure(figsize=(8.5, 2.6), layout="constrained")
    panels = (("images/s", 8, "images a second, 8 clients"), ("p50 ms", 1, "ms an image, 1 client (median)"))
    for axes, (column, clients, title) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        shown = [row for row in rows if row["image"] == "1000² JPEG" and row["clients"] == clients]
        names = [row["service"] for row in shown]
        ours = [name.startswith("Camspector") for name in names]
        bars(axes, title, names, [float(row[column]) for row in shown], ours)
    figure.supxlabel(f"1000² JPEG over HTTP; {processor}", fontsize=8)
    return figure


def engines(folder: Path) -> Figure:
    """Images a second by engine, variant and threads, a panel for each input size."""
    rows, processor = read(folder, "engines")
    sizes = sorted({row["input"] for row in rows})
    figure = Figure(figsize=(8.5, 2.6), layout="constrained")
    for axes, size in zip(figure.subplots(1, len(sizes), squeeze=False, sharey=True)[0], sizes, strict=True):
        shown = [row for row in rows if row["input"] == size and row["batch"] == 1]
        labels = [f"{row['engine']} {row['variant']}, {row['how']}" for row in shown]
        bars(
            axes,
            f"images a second, {size}² input",
            labels,
            [float(row["images/s"]) for row in shown],
            [row["engine"] == "onnxruntime" for row in shown],
        )
    figure.supxlabel(processor, fontsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="folder of the benchmarks' JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder for the plots")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "camspector"})  # the same figures, the same file
    for draw in (service, engines):
        path = chosen.out / f"benchmark-{draw.__name__}.svg"
        draw(chosen.json).savefig(path, metadata={"Date": None}, facecolor="white")
        print(path)


if __name__ == "__main__":
    main()
