import json
import re
from pathlib import Path

import msgspec
import pytest

from model.errors import DataError
from model.figures import Figures
from model.verdict import Thresholds, logit
from tests.training.report.conftest import MakePredictions, MakeSubject, reviewed
from tests.training.report.reader import Reader
from training.evaluation.figures import measure
from training.evaluation.prediction import Prediction
from training.report.report import CurvePoint, LearningCurve, Report, Subject
from training.report.writer import copy_report, write_report

GOOD = [0.02, 0.05, 0.1, 0.2, 0.3, 0.7]
BAD = [0.95, 0.9, 0.8, 0.4]


def read(folder: Path, subject: Subject, predictions: list[Prediction]) -> Reader:
    page, _ = write_report(folder, Report(subject, predictions, measure(predictions, "ten images")))
    return Reader(page.read_text())


def test_page_is_complete_in_itself(
    tmp_path: Path, make_predictions: MakePredictions, make_subject: MakeSubject
) -> None:
    predictions = make_predictions(GOOD, BAD)
    curve = LearningCurve("AUROC", [CurvePoint(5, [0.8, 0.9]), CurvePoint(10, [0.9])])
    subject = make_subject(predictions, defect_rate=0.01, learning_curve=curve, warnings=["few images"])
    page = read(tmp_path, subject, predictions)
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert all(uri.startswith("data:image/") for uri in page.of("src"))
    assert all(uri.startswith(("#", "data:")) for uri in page.of("href") + page.of("xlink:href"))
    ids = page.of("id")
    assert len(set(ids)) == len(ids)
    raw = (tmp_path / "report.html").read_text()
    meant = (
        {uri[1:] for uri in page.of("href") if uri.startswith("#")}
        | set(re.findall(r"url\(#([^)]+)\)", raw))
        | set(page.of("aria-labelledby"))
    )
    assert meant <= set(ids)
    assert "@import" not in raw
    assert not re.search(r"url\((?!#)", raw)
    assert page.tags.count("img") == len(page.of("alt")) == 3 + 2 + 3 * 3  # a miss, a false reject, three hits
    assert page.tags.count("svg") == 6
    assert "#a1b2c" not in raw  # every colour comes from the style sheet


def test_verdict_in_words(tmp_path: Path, make_predictions: MakePredictions, make_subject: MakeSubject) -> None:
    predictions = make_predictions(GOOD, BAD)
    statement = "1 of 4 defects missed (4.6–69.9 %)"
    subject = make_subject(predictions, statements=[statement], warnings=["few images"], defect_rate=0.01)
    words = read(tmp_path, subject, predictions).words
    assert "About 25 of 100 defects were missed. About 17 of 100 good parts were rejected." in words
    assert "1 of 4" in words
    assert f"{statement}." in words
    assert "Before you trust these figures Few images." in words
    assert "about 1,000 are defective, and 250 of those are accepted" in words


def test_same_data_same_bytes(tmp_path: Path, make_predictions: MakePredictions, make_subject: MakeSubject) -> None:
    predictions = make_predictions(GOOD, BAD)
    figures = measure(predictions, "ten images")
    one = write_report(tmp_path / "one", Report(make_subject(predictions), predictions, figures))
    two = write_report(tmp_path / "two", Report(make_subject(predictions), predictions, figures))
    assert [path.name for path in one] == ["report.html", "report.json"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_json_holds_the_same_figures(
    tmp_path: Path, make_predictions: MakePredictions, make_subject: MakeSubject
) -> None:
    predictions = make_predictions(GOOD, BAD)
    figures = measure(predictions, "ten images")
    _, path = write_report(tmp_path, Report(make_subject(predictions, cost_ratio=20.0), predictions, figures))
    written = json.loads(path.read_text())
    assert msgspec.convert(written["figures"], Figures) == figures
    assert written["subject"]["cost_ratio"] == 20.0
    assert written["curves"]["scores"]["good"]
    measured = written["measured_images"]
    assert measured["defect_rate"] == 0.4
    assert measured["log_odds"]["good"] == pytest.approx([logit(each) for each in GOOD])
    assert measured["log_odds"]["dent"] == pytest.approx([logit(each) for each in sorted(BAD)])
    assert written["galleries"] == {
        "misses": ["bad-3.png"],
        "false-rejects": ["good-5.png"],
        "hits": ["bad-0.png", "bad-1.png", "bad-2.png"],
        "oddest": [],
    }


def test_names_of_strangers_are_text(
    tmp_path: Path, make_predictions: MakePredictions, make_subject: MakeSubject
) -> None:
    kind, prefix = "<script>alert(1)</script>", "\"><img src=x onerror='alert(2)'>{{ 7*7 }}"
    predictions = make_predictions(GOOD, BAD, kind=kind, prefix=prefix)
    evil = "</title><svg onload=alert(3)>"
    subject = make_subject(
        predictions, model=evil, command=evil, rule=evil, recipe={evil: evil}, seconds={evil: 1.0},
        warnings=[evil], statements=[evil], learning_curve=LearningCurve(evil, [CurvePoint(5, [0.5])]),
    )  # fmt: skip
    page = read(tmp_path, subject, predictions)
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(uri.startswith("data:image/") for uri in page.of("src"))
    assert kind in page.words
    assert f"{prefix}bad-0.png" in page.words
    assert f"Image of {prefix}bad-0.png" in page.of("alt")


@pytest.mark.parametrize(
    ("good", "bad", "masks", "folds", "said"),
    [
        (GOOD, BAD, False, 2, "No image has a mask"),
        (GOOD[:5], BAD, True, 2, "No good part was called defective."),
        (GOOD, BAD[:3], True, 2, "There is no image of a defective part that was called good."),
        (GOOD, [0.1], True, 2, "There is no image of a defective part that was found."),
        (GOOD, BAD, True, 1, "Confusion matrix"),
        ([0.5] * 4, [0.5] * 4, True, 1, "4 of 4"),
        ([1e-9, 1e-8], [1 - 1e-9], True, 1, "No defect was missed among 1."),
    ],
    ids=["no masks", "no false rejects", "no misses", "no hits", "one fold", "all alike", "extreme"],
)
def test_what_is_not_there_is_said(
    tmp_path: Path,
    make_predictions: MakePredictions,
    make_subject: MakeSubject,
    good: list[float],
    bad: list[float],
    masks: bool,
    folds: int,
    said: str,
) -> None:
    predictions = make_predictions(good, bad, masks=masks, folds=folds)
    page = read(tmp_path, make_subject(predictions, version=None), predictions)
    assert said in page.words
    assert ("Model by model" in page.words) == (folds > 1)
    assert "The production line’s defect rate was not given." in page.words
    assert "Learning curve" not in page.words
    assert "bolt: inspection report" in page.words


def test_review_is_counted_apart(tmp_path: Path, make_predictions: MakePredictions, make_subject: MakeSubject) -> None:
    predictions = [reviewed(each, 0.35, 0.75) for each in make_predictions(GOOD, BAD)]
    subject = make_subject(predictions, thresholds=Thresholds(0.3, 0.5, 0.8), defect_rate=0.1)
    words = read(tmp_path, subject, predictions).words
    assert "No defect was missed among 4. No good part was rejected among 6. 20 % went to review." in words
    assert "accepts below 0.3 and rejects from 0.8" in words


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, make_predictions: MakePredictions, make_subject: MakeSubject
) -> None:
    predictions = make_predictions(GOOD, BAD)
    report = Report(make_subject(predictions), predictions, measure(predictions, "ten images"))
    (tmp_path / "report").write_text("a file")
    with pytest.raises(DataError, match="the report can't be written to"):
        write_report(tmp_path / "report", report)


def test_a_report_is_copied_whole(tmp_path: Path) -> None:
    (tmp_path / "1" / "report").mkdir(parents=True)
    (tmp_path / "1" / "report" / "report.html").write_text("page")
    copy_report(tmp_path / "1", tmp_path / "out" / "there")
    assert (tmp_path / "out" / "there" / "report.html").read_text() == "page"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the report can't be written to"):
        copy_report(tmp_path / "1", tmp_path / "file")
