"""Everything after the map is decided on held-out images, and for each part on the other parts alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError
from model.evidence import Pooling
from model.verdict import Calibration, Thresholds, prior_shift
from training.data.masks import Mask
from training.data.samples import Sample
from training.estimators.image_head import choose_image_weight
from training.evaluation.calibration import fit_platt
from training.evaluation.heatmap_scale import choose_heatmap_scale
from training.evaluation.post_processing import (
    Method,
    OutOfFold,
    PostProcessor,
    cross_val_post_process,
    fit_post_processor,
    halves,
)
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import BestBalancedAccuracy, ErrorRateLimits, Fixed, LeastCost, choose_thresholds

METHOD = Method(Pooling(0.1), BestBalancedAccuracy())
NO_MASKS = np.zeros((0, 6, 6), np.float32)


def drawn(good: int = 30, bad: int = 15, parts: int = 3, seed: int = 0, mask: Mask | None = None) -> OutOfFold:
    """Maps of noise, with a stronger corner where the image is defective; parts alternate. No image head."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(-3, 1, (good + bad, 6, 6)).astype(np.float32)
    maps[good:, :2, :2] += rng.normal(3, 1.5, (bad, 1, 1)).astype(np.float32)
    samples = [Sample(Path(f"{i}.png"), f"{i}.png", "good") for i in range(good)]
    samples += [Sample(Path(f"bad{i}.png"), f"bad{i}.png", "dent", mask=mask) for i in range(bad)]
    return OutOfFold(samples, maps, np.arange(good + bad) % parts)


def with_noisy_image_head(held: OutOfFold) -> OutOfFold:
    """Defective images have two more in the mean."""
    noise = np.random.default_rng(9).normal(0, 1, len(held.samples))
    return replace(held, image_log_odds=(noise + 2 * held.is_anomaly).astype(np.float32))


def said(predictions: list[Prediction]) -> list[tuple[object, ...]]:
    return [(p.sample.name, p.log_odds, p.thresholds, p.heatmap_scale, p.shift, p.fold) for p in predictions]


@pytest.fixture
def mask() -> Mask:
    """The corner's innermost place, of an image of 60×60."""
    pixels = np.zeros((60, 60), np.bool_)
    pixels[:10, :10] = True
    return Mask.of(pixels)


@pytest.mark.parametrize("rule", [BestBalancedAccuracy(), LeastCost(5), ErrorRateLimits(0.3, 0.2), Fixed(0.4)])
@pytest.mark.parametrize("rate", [None, 0.02])
def test_a_judge_is_what_its_parts_choose(rule: LeastCost | ErrorRateLimits | Fixed, rate: float | None) -> None:
    held = drawn()
    judge = fit_post_processor(held, replace(METHOD, rule=rule, defect_rate=rate))
    pooled = Pooling(0.1)(held.maps)
    calibration = fit_platt(pooled, held.is_anomaly)
    shift = prior_shift(1 / 3, rate)
    assert judge.calibration == calibration
    assert judge.shift == pytest.approx(shift)
    calibrated = np.array([calibration(value) for value in pooled.tolist()])
    assert judge.thresholds == choose_thresholds(rule, calibrated, held.is_anomaly, judge.shift)
    assert judge.heatmap_scale == choose_heatmap_scale(held.maps[:30], NO_MASKS, NO_MASKS)


def test_a_calibration_that_is_given_stays() -> None:
    softmax = Calibration(1.0, 0.0, 0.25)
    judge = fit_post_processor(drawn(), Method(Pooling(), Fixed(0.5), 0.1, softmax))
    assert judge.calibration == softmax
    assert judge.shift == prior_shift(0.25, 0.1)


def test_predictions_are_the_judges_word_on_each_map() -> None:
    held = drawn()
    scale = fit_post_processor(held, METHOD).heatmap_scale
    judge = PostProcessor(Pooling(0.1), Calibration(2.0, 1.0, 0.3), Thresholds(0.2, 0.4, 0.6), scale, -1.5)
    predictions = judge.predictions(held.samples[:3], held.maps[:3], None, fold=4)
    pooled = Pooling(0.1)(held.maps[:3])
    assert [p.log_odds for p in predictions] == (2 * pooled + 1).tolist()
    for prediction, sample, evidence in zip(predictions, held.samples, held.maps, strict=False):
        assert prediction.sample == sample
        assert np.array_equal(prediction.evidence, evidence)
        assert (prediction.thresholds, prediction.heatmap_scale) == (judge.thresholds, scale)
        assert (prediction.shift, prediction.fold) == (-1.5, 4)


def test_the_image_head_is_part_of_every_map_and_of_what_is_chosen_on_them() -> None:
    held = with_noisy_image_head(drawn())
    judge = fit_post_processor(held, METHOD)
    assert held.image_log_odds is not None
    assert judge.image_weight == choose_image_weight(Pooling(0.1)(held.maps), held.image_log_odds, held.is_anomaly) > 0
    whole = held.maps + np.float32(judge.image_weight) * held.image_log_odds[:, None, None]
    same = fit_post_processor(replace(held, maps=whole, image_log_odds=None), METHOD)
    assert judge == replace(same, image_weight=judge.image_weight)
    predictions = judge.predictions(held.samples, held.maps, held.image_log_odds)
    assert np.array_equal([p.evidence for p in predictions], whole)


@pytest.mark.parametrize("held", [drawn(), with_noisy_image_head(drawn())])
def test_each_part_is_judged_by_the_other_parts_and_order_is_kept(held: OutOfFold) -> None:
    predictions = cross_val_post_process(held, METHOD)
    assert [p.sample for p in predictions] == held.samples
    assert [p.fold for p in predictions] == held.fold_ids.tolist()
    for part in range(3):
        inside = held.fold_ids == part
        own = held.of(inside)
        expected = fit_post_processor(held.of(~inside), METHOD).predictions(
            own.samples, own.maps, own.image_log_odds, fold=part
        )
        assert said([p for p in predictions if p.fold == part]) == said(expected)


@pytest.mark.parametrize("held", [drawn(), with_noisy_image_head(drawn())])
def test_labels_and_maps_of_a_part_have_no_say_in_it(held: OutOfFold) -> None:
    inside = held.fold_ids == 1
    flipped = [
        replace(sample, kind="good" if sample.is_anomaly else "dent") if is_inside else sample
        for sample, is_inside in zip(held.samples, inside, strict=True)
    ]
    before, after = cross_val_post_process(held, METHOD), cross_val_post_process(replace(held, samples=flipped), METHOD)
    assert said([p for p in before if p.fold == 1]) == said([p for p in after if p.fold == 1])
    assert said([p for p in before if p.fold == 0]) != said([p for p in after if p.fold == 0])

    changed = np.flatnonzero(inside)[::2]
    maps = held.maps.copy()
    maps[changed] += 5
    after = cross_val_post_process(replace(held, maps=maps), METHOD)
    unchanged = np.setdiff1d(np.flatnonzero(inside), changed)
    assert said([before[i] for i in unchanged]) == said([after[i] for i in unchanged])


def test_the_order_of_images_changes_no_word() -> None:
    held = drawn()
    order = np.random.default_rng(5).permutation(len(held.samples))
    shuffled = OutOfFold([held.samples[i] for i in order], held.maps[order], held.fold_ids[order])
    before = {p.sample.name: p for p in cross_val_post_process(held, METHOD)}
    for prediction in cross_val_post_process(shuffled, METHOD):
        expected = before[prediction.sample.name]
        assert prediction.log_odds == pytest.approx(expected.log_odds, abs=1e-6)
        assert prediction.thresholds.label == pytest.approx(expected.thresholds.label)
        assert prediction.heatmap_scale == expected.heatmap_scale


def test_masks_raise_the_region_level_where_they_may(mask: Mask) -> None:
    masked, unmasked = drawn(mask=mask), drawn()
    masked.maps[30:, 0, 0] += 6  # the rest of the corner is a halo
    unmasked.maps[:] = masked.maps
    unmasked_judge = fit_post_processor(unmasked, METHOD)
    judge = fit_post_processor(masked, METHOD)
    coverage = np.zeros((15, 6, 6), np.float32)
    coverage[:, 0, 0] = 1
    assert judge.heatmap_scale == choose_heatmap_scale(masked.maps[:30], masked.maps[30:], coverage)
    assert judge.heatmap_scale.good_median == unmasked_judge.heatmap_scale.good_median
    assert judge.heatmap_scale.region_threshold > unmasked_judge.heatmap_scale.region_threshold
    assert (judge.calibration, judge.thresholds) == (unmasked_judge.calibration, unmasked_judge.thresholds)


def test_masks_that_may_not_be_used_are_not_even_read() -> None:
    masked = drawn(mask=Mask((60, 60), b"can't be unpacked"))
    assert fit_post_processor(masked, replace(METHOD, use_masks=False)) == fit_post_processor(drawn(), METHOD)


@pytest.mark.parametrize(("good", "bad"), [(0, 15), (30, 0)])
def test_one_class_is_refused(good: int, bad: int) -> None:
    with pytest.raises(DataError, match="both good images and defective ones"):
        fit_post_processor(drawn(good, bad), METHOD)


@pytest.mark.parametrize(("good", "bad"), [(30, 15), (31, 14), (2, 1), (2, 0)])
def test_halves_divide_each_class_evenly_by_the_seed(good: int, bad: int) -> None:
    held = halves(drawn(good, bad), seed=1)
    counts = [np.bincount(held.fold_ids[chosen], minlength=2) for chosen in (held.is_anomaly, ~held.is_anomaly)]
    assert all(abs(first - second) <= 1 for first, second in counts)
    assert np.array_equal(held.fold_ids, halves(drawn(good, bad, parts=1), seed=1).fold_ids)
    assert good < 30 or not np.array_equal(held.fold_ids, halves(drawn(good, bad), seed=2).fold_ids)


def test_a_half_without_a_good_image_says_what_is_missing() -> None:
    held = halves(drawn(1, 5), seed=0)
    with pytest.raises(DataError, match="levels need good images that the network hasn't seen"):
        cross_val_post_process(held, Method(Pooling(), Fixed(0.5), calibration=Calibration(1.0, 0.0, 0.5)))


def test_a_moved_judge_says_the_same_of_maps_that_differ_by_a_line() -> None:
    """Where slope·theirs + offset are ours; pictures too."""
    held, slope, offset = drawn(), 0.8, -1.3
    judge = fit_post_processor(held, METHOD)
    theirs = ((held.maps - offset) / slope).astype(np.float32)
    ours = judge.predictions(held.samples, held.maps, None)
    said = judge.moved(slope, offset).predictions(held.samples, theirs, None)
    assert [p.log_odds for p in said] == pytest.approx([p.log_odds for p in ours], abs=1e-4)
    for mine, other in zip(ours, said, strict=True):
        assert other.heatmap_scale(other.evidence) == pytest.approx(mine.heatmap_scale(mine.evidence), abs=1e-4)
    assert [p.log_odds for p in judge.predictions(held.samples, theirs, None)] != pytest.approx(
        [p.log_odds for p in ours], abs=0.1
    )
