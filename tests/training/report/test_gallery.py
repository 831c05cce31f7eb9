from dataclasses import replace

from tests.training.predictions import prediction
from training.report.gallery import choose_galleries


def test_the_surest_come_first() -> None:
    predictions = [
        *(prediction("dent", p, name=f"dent-{p}") for p in (0.4, 0.01, 0.2, 0.9, 0.99)),
        *(prediction("good", p, name=f"good-{p}") for p in (0.6, 0.97, 0.2)),
    ]
    misses, rejects, hits, odd = choose_galleries(predictions)
    assert [p.sample.name for p in misses.shown] == ["dent-0.01", "dent-0.2", "dent-0.4"]
    assert [p.sample.name for p in rejects.shown] == ["good-0.97", "good-0.6"]
    assert [p.sample.name for p in hits.shown] == ["dent-0.99", "dent-0.9"]
    assert (odd.name, odd.found) == ("oddest", 0)


def test_the_oddest_are_shown_whatever_their_label() -> None:
    distances = {"good-1": 1.0, "dent-3": 3.0, "good-2": 2.0}
    predictions = [
        replace(prediction(name[:4], 0.1, name=name), distance=distance) for name, distance in distances.items()
    ]
    odd = choose_galleries(predictions)[3]
    assert [p.sample.name for p in odd.shown] == ["dent-3", "good-2", "good-1"]


def test_at_most_six_are_shown_and_names_break_ties() -> None:
    predictions = [prediction("dent", 0.1, name=f"{i}.png") for i in (7, 3, 5, 1, 0, 2, 6, 4)]
    misses = choose_galleries(predictions)[0]
    assert misses.found == 8
    assert [p.sample.name for p in misses.shown] == [f"{i}.png" for i in range(6)]


def test_certainty_beyond_what_a_probability_can_hold() -> None:
    hits = [replace(prediction("dent", 0.9, name=f"{x}"), log_odds=x) for x in (40.0, 60.0, 50.0)]
    assert [p.sample.name for p in choose_galleries(hits)[2].shown] == ["60.0", "50.0", "40.0"]


def test_a_synthetic_anomaly_is_not_shown_as_its_good_source_image() -> None:
    predictions = [prediction(kind, p, name=f"{kind}-{p}") for kind in ("synthetic", "dent") for p in (0.1, 0.9)]
    misses, _, hits, _ = choose_galleries(predictions)
    assert [p.sample.name for p in (*misses.shown, *hits.shown)] == ["dent-0.1", "dent-0.9"]
    assert misses.found == hits.found == 1
