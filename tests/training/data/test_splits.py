from collections import Counter
from pathlib import Path

import pytest

from model.errors import DataError
from training.data.samples import Sample
from training.data.splits import hold_out, make_folds


def samples(**kinds: int) -> list[Sample]:
    return [
        Sample(Path(f"{kind}/{i}.png"), f"{kind}/{i}.png", kind, group=f"{kind}{i}")
        for kind, count in kinds.items()
        for i in range(count)
    ]


def test_every_sample_is_tested_once_and_kinds_are_in_proportion() -> None:
    data = samples(good=242, crack=23, imprint=22, poke=21)
    folds = make_folds(data, 5, seed=42)
    assert sorted(i for fold in folds for i in fold.test) == list(range(len(data)))
    for fold in folds:
        assert set(fold.train) | set(fold.test) == set(range(len(data)))
        assert not set(fold.train) & set(fold.test)
        counts = Counter(data[i].kind for i in fold.test)
        assert counts["good"] in {48, 49}
        assert all(counts[kind] in {4, 5} for kind in ("crack", "imprint", "poke"))


def test_groups_are_never_divided() -> None:
    data = [Sample(s.path, s.name, s.kind, group=f"{s.kind}{i // 3}") for i, s in enumerate(samples(good=60, dent=30))]
    for fold in make_folds(data, 5, seed=1):
        assert not {data[i].group for i in fold.train} & {data[i].group for i in fold.test}


def test_the_seed_decides() -> None:
    data = samples(good=50, dent=20)
    first, again, other = (hold_out(data, 0.2, seed).test.tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 14


def test_kinds_with_fewer_images_than_folds_are_still_split() -> None:
    folds = make_folds(samples(good=20, dent=8, rare=2, rarer=1), 5, seed=0)
    assert sorted(i for fold in folds for i in fold.test) == list(range(31))


@pytest.mark.parametrize("kinds", [{"good": 4, "dent": 20}, {"good": 20, "dent": 4}, {"dent": 20}])
def test_a_class_that_is_too_small_is_named(kinds: dict[str, int]) -> None:
    name = "good" if kinds.get("good", 0) < 5 else "anomaly"
    with pytest.raises(DataError, match=f"class {name} has [04] image"):
        make_folds(samples(**kinds), 5, seed=0)


def test_good_images_alone_are_sent_to_fit() -> None:
    with pytest.raises(DataError, match=r"no image is of a defective part.*`fit --anomalies synthetic` learns"):
        make_folds(samples(good=20), 5, seed=0)


def test_one_big_group_does_not_count_as_many_images() -> None:
    data = [*samples(good=20), *(Sample(Path(f"{i}"), f"{i}", "dent", group="lot") for i in range(20))]
    with pytest.raises(DataError, match="class anomaly has 1 image"):
        make_folds(data, 5, seed=0)


def test_lots_that_leave_a_part_without_a_class_are_refused() -> None:
    lots = [(40, 0), (1, 9), (30, 0), (2, 8), (9, 0), (5, 1), (6, 1), (1, 20)]
    data = [
        Sample(Path("x"), "x", kind, group=f"lot{number}")
        for number, (good, bad) in enumerate(lots)
        for kind in ["good"] * good + ["dent"] * bad
    ]
    with pytest.raises(DataError, match="too large for 5 folds with both classes: use fewer folds"):
        make_folds(data, 5, seed=0)
