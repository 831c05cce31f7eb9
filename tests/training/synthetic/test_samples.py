"""What becomes of a good image follows from it alone: nothing of another one, which may be held out, is in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.samples import Sample
from training.synthetic import SyntheticSamples, synthesise
from training.synthetic import samples as module
from training.synthetic.scene import Pixels

SIDE = 16
Loaders = list[Callable[[], Pixels]]


@pytest.fixture(scope="module")
def parts(capsules: Pixels) -> tuple[list[Sample], Loaders]:
    """Three good capsules between two defective ones, whose loaders may not be looked at."""
    kinds = ["dent", "good", "good", "good", "dent"]
    names = [f"{kind}/{i}.png" for i, kind in enumerate(kinds)]
    samples = [
        Sample(Path(name), name, kind, group=f"lot{i}") for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    return samples, [forbidden, *(shown(capsule) for capsule in capsules), forbidden]


def shown(image: Pixels) -> Callable[[], Pixels]:
    return lambda: image


def forbidden() -> Pixels:
    raise AssertionError("a defective image was looked at")


def by_name(made: SyntheticSamples) -> dict[str, tuple[bytes, bytes]]:
    return {
        sample.name: (image.tobytes(), coverage.tobytes())
        for sample, image, coverage in zip(made.samples, made.images, made.coverage, strict=True)
    }


def test_each_good_image_gets_a_spoilt_copy(parts: tuple[list[Sample], Loaders]) -> None:
    samples, loaders = parts
    made = synthesise(samples, loaders, 0, SIDE)
    assert made.source.tolist() == [1, 2, 3]
    for sample, source in zip(made.samples, made.source, strict=True):
        original = samples[source]
        assert (sample.name, sample.kind, sample.mask) == (f"synthetic/{original.name}", "synthetic", None)
        assert (sample.path, sample.group) == (original.path, original.group)
        assert sample.is_anomaly


def test_coverage_is_the_changed_share_of_each_patch(parts: tuple[list[Sample], Loaders]) -> None:
    samples, loaders = parts
    made = synthesise(samples, loaders, 0, SIDE)
    assert made.coverage.shape == (3, SIDE, SIDE)
    for image, source, coverage in zip(made.images, made.source, made.coverage, strict=True):
        size = len(image) // SIDE
        changed = (image != loaders[source]()).any(axis=2)
        share = changed.reshape(SIDE, size, SIDE, size).mean((1, 3))
        assert 0 < coverage.max() <= 1
        assert (share <= coverage + 1e-6).all()  # pixels that were hit and didn't change count too
        assert share[coverage > 0].sum() > 0.5 * coverage.sum()


def test_the_good_images_stay_as_they_are(parts: tuple[list[Sample], Loaders]) -> None:
    samples, loaders = parts
    before = [load().copy() for load in loaders[1:4]]
    synthesise(samples, loaders, 0, SIDE)
    assert all(np.array_equal(load(), kept) for load, kept in zip(loaders[1:4], before, strict=True))


def test_the_seed_decides(parts: tuple[list[Sample], Loaders]) -> None:
    first, again, other = (by_name(synthesise(*parts, seed, SIDE)) for seed in (1, 1, 2))
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_order_and_other_images_change_nothing(parts: tuple[list[Sample], Loaders], carpets: Pixels) -> None:
    samples, loaders = parts
    before = by_name(synthesise(samples, loaders, 0, SIDE))
    order = [3, 4, 1, 0, 2]
    assert by_name(synthesise([samples[i] for i in order], [loaders[i] for i in order], 0, SIDE)) == before

    unrelated = Sample(Path("good/a.png"), "good/a.png", "good")
    more = by_name(synthesise([unrelated, *samples], [shown(carpets[0]), *loaders], 0, SIDE))
    assert {name: more[name] for name in before} == before
    assert len(more) == 4

    changed: Loaders = [loaders[0], shown(carpets[1]), *loaders[2:]]
    after = by_name(synthesise(samples, changed, 0, SIDE))
    assert [name for name in before if after[name] != before[name]] == ["synthetic/good/1.png"]


def test_of_many_good_images_some_are_chosen_by_the_seed(
    parts: tuple[list[Sample], Loaders], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, loaders = parts
    monkeypatch.setattr(module, "MOST", 2)
    chosen = {tuple(synthesise(samples, loaders, seed, SIDE).source.tolist()) for seed in range(12)}
    assert chosen == {(1, 2), (1, 3), (2, 3)}


def test_anomalies_lie_on_the_product_of_their_own_image(parts: tuple[list[Sample], Loaders], capsules: Pixels) -> None:
    """A product that lies elsewhere in each image has its anomalies elsewhere too."""
    samples, loaders = parts
    moved: Loaders = [
        loaders[0],
        *(shown(np.roll(capsules[0], shift, axis=0)) for shift in (0, 25, -25)),
        loaders[4],
    ]
    rows = []
    for seed in range(8):
        made = synthesise(samples, moved, seed, SIDE)
        rows.append([np.average(np.arange(SIDE), weights=coverage.sum(axis=1)) for coverage in made.coverage])
    still, lower, higher = np.mean(rows, axis=0)
    assert lower - still > 1
    assert still - higher > 1
