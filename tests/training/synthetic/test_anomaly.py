import numpy as np
import pytest

from training.synthetic import KINDS, foreground, make_anomaly
from training.synthetic.anomaly import LARGEST, SMALLEST
from training.synthetic.scene import Mask, Pixels


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def everywhere(image: Pixels) -> Mask:
    return np.ones(image.shape[:2], dtype=bool)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("product", ["carpets", "capsules"])
def test_anomaly_changes_the_pixels_of_its_mask_and_no_others(
    product: str, kind: str, request: pytest.FixtureRequest
) -> None:
    image = request.getfixturevalue(product)[0]
    before = image.copy()
    for seed in range(3):
        corrupted, mask = make_anomaly(image, everywhere(image), rng(seed), kind=kind)
        assert corrupted.shape == image.shape
        assert corrupted.dtype == np.uint8
        assert mask.shape == image.shape[:2]
        assert mask.dtype == np.bool_
        changed = (corrupted != image).any(axis=2)
        assert mask.any()
        assert not (changed & ~mask).any()
        assert changed[mask].mean() > 0.5
        assert np.abs(corrupted.astype(int) - image)[mask].max(axis=1).mean() >= 7
    assert np.array_equal(image, before)


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_same_generator_gives_the_same_anomaly(capsules: Pixels, kind: str | None) -> None:
    (one, its_mask), (again, same_mask) = (
        make_anomaly(capsules[0], everywhere(capsules[0]), rng(4), kind=kind) for _ in range(2)
    )
    assert np.array_equal(one, again)
    assert np.array_equal(its_mask, same_mask)


def test_another_generator_gives_another_anomaly(capsules: Pixels) -> None:
    image = capsules[0]
    images = {make_anomaly(image, everywhere(image), rng(seed))[0].tobytes() for seed in range(20)}
    assert len(images) == 20


def test_areas_are_spread_evenly_over_their_magnitudes(carpets: Pixels) -> None:
    image, shared = carpets[0], rng(0)
    areas = np.array([make_anomaly(image, everywhere(image), shared)[1].mean() for _ in range(300)])
    assert areas.min() >= SMALLEST / 2
    assert areas.max() <= 2 * LARGEST
    shares = np.histogram(areas, [0, 0.001, 0.004, 0.015, 1])[0] / len(areas)
    assert (shares > 0.1).all()
    assert (shares < 0.5).all()


def test_contrast_runs_from_subtle_to_strong(capsules: Pixels) -> None:
    image, shared = capsules[0], rng(1)
    strengths = []
    for _ in range(100):
        corrupted, mask = make_anomaly(image, everywhere(image), shared)
        strengths.append(np.abs(corrupted.astype(int) - image).max(axis=2)[mask].mean())
    assert np.quantile(strengths, 0.1) < 20
    assert np.quantile(strengths, 0.9) > 50


def test_anomalies_lie_on_the_product(capsules: Pixels) -> None:
    product, shared = foreground(capsules[0]), rng(2)
    masks = [make_anomaly(capsules[0], product, shared)[1] for _ in range(60)]
    assert np.mean([(mask & product).sum() / mask.sum() > 0.5 for mask in masks]) > 0.9


def test_what_touches_the_surface_alone_ends_where_the_product_ends(capsules: Pixels) -> None:
    product = np.zeros(capsules.shape[1:3], dtype=bool)
    product[40:80, 30:90] = True
    for kind in ("scratch", "stain", "dent"):
        for seed in range(10):
            _, mask = make_anomaly(capsules[0], product, rng(seed), kind=kind)
            assert not mask[:38].any()
            assert not mask[:, 93:].any()


def test_gray_images_stay_gray(carpets: Pixels) -> None:
    gray = np.broadcast_to(carpets[0][..., 1:2], carpets[0].shape).copy()
    for seed in range(40):
        corrupted, _ = make_anomaly(gray, everywhere(gray), rng(seed))
        assert (corrupted == corrupted[..., :1]).all()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_even_image_gets_its_anomaly(level: int) -> None:
    even = np.full((64, 64, 3), level, np.uint8)
    for seed in range(10):
        corrupted, mask = make_anomaly(even, foreground(even), rng(seed))
        assert mask.any()
        assert (corrupted != even).any(axis=2)[mask].mean() > 0.5


def test_a_kind_that_can_do_nothing_here_leaves_a_plain_spot() -> None:
    even = np.full((48, 48, 3), 200, np.uint8)
    corrupted, mask = make_anomaly(even, everywhere(even), rng(0), kind="cut")
    assert mask.any()
    assert (corrupted != even).any(axis=2)[mask].all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_tiny_image_gets_its_anomaly(kind: str) -> None:
    noise = rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for seed in range(5):
        corrupted, mask = make_anomaly(noise, everywhere(noise), rng(seed), kind=kind)
        assert mask.any()
        assert ((corrupted != noise).any(axis=2) <= mask).all()


def test_an_unknown_kind_is_named(carpets: Pixels) -> None:
    with pytest.raises(KeyError, match="rust"):
        make_anomaly(carpets[0], everywhere(carpets[0]), rng(0), kind="rust")
