"""A study on a terminal, as report.html and as report.json."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from model.errors import DataError
from training.msa import bands
from training.msa.agreement import Agreement, Pair, Rate
from training.msa.study import StudyReport
from training.report import words
from training.report.page import environment


def table(report: StudyReport) -> str:
    """The figures as lines of text."""
    figures = report.figures
    lines = [f"version {report.version} of {report.model!r}, {report.variant} by {report.engine} on {report.device}"]
    if len(figures.stations) > 1:
        lines += _lines("all stations", figures.overall)
    for each in figures.stations:
        lines += _lines(f"station {each.station}", each.agreement)
        lines.append(f"  kappa between trials      {_kappas(each.between_trials)}")
    if figures.between_stations:
        lines.append(f"kappa between stations      {_kappas(figures.between_stations)}")
    return "\n".join(lines)


def write_study(folder: Path, report: StudyReport) -> None:
    """Write report.html and report.json into `folder`, which is made where it isn't there. Raises DataError."""
    page = environment().get_template("study.html").render(report=report, figures=report.figures, bands=bands)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.html").write_bytes(page.encode())
        (folder / "report.json").write_bytes(to_json(report))
    except OSError as error:
        raise DataError(f"the report can't be written to {folder}: {error}") from error


def write_json(file: Path, report: StudyReport) -> None:
    """Raises DataError."""
    try:
        file.write_bytes(to_json(report))
    except OSError as error:
        raise DataError(f"--json {file} can't be written: {error}") from error


def to_json(report: StudyReport) -> bytes:
    """Every member of the report; shares are between 0 and 1."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _lines(name: str, agreement: Agreement) -> list[str]:
    a = agreement
    right, escapes, overkill = a.effectiveness, a.escapes, a.overkill
    return [
        name,
        f"  effectiveness             {_rate(right)} parts are right in every trial{_aiag(bands.effectiveness, right)}",
        f"  escape rate               {_rate(escapes)} decisions on defects, {_ppm(escapes)}"
        + _aiag(bands.escapes, escapes),
        f"  overkill rate             {_rate(overkill)} decisions on good parts, {_ppm(overkill)}"
        + _aiag(bands.overkill, overkill),
        f"  review                    {_rate(a.reviews)} decisions",
        f"  repeatability             {_rate(a.repeatability)} parts have one decision throughout",
        f"  kappa with the reference  {_kappa(a.kappa_reference)}",
    ]


def _rate(rate: Rate) -> str:
    return f"{words.percent(rate.share.value)} (95 %: {words.interval(rate.share)}), {rate.count} of {rate.of}"


def _ppm(rate: Rate) -> str:
    return words.ppm(rate.share.value)


def _aiag(band: Callable[[float], str], rate: Rate) -> str:
    return f"; AIAG: {band(rate.share.value)}"


def _kappa(value: float | None) -> str:
    return "not defined: there is one decision alone" if value is None else f"{value:.3f}; AIAG: {bands.kappa(value)}"


def _kappas(pairs: list[Pair]) -> str:
    return ", ".join(
        f"{pair.one} × {pair.other} {'–' if pair.kappa is None else f'{pair.kappa:.3f}'}" for pair in pairs
    )
