"""Everything after the map is decided on out_of_fold-out images, and for each fold on the other folds alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError
from model.evidence import Pooling
from model.verdict import Calibration, Thresholds, prior_shift
from training.data.masks import Mask
from training.data.samples import Sample
from training.estimators.image_head import HeadWeights, choose_head_weights
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


def drawn(good: int = 30, bad: int = 15, folds: int = 3, seed: int = 0, mask: Mask | None = None) -> OutOfFold:
    """Maps of noise, with a stronger corner where the image is defective; folds alternate. No image head."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(-3, 1, (good + bad, 6, 6)).astype(np.float32)
    maps[good:, :2, :2] += rng.normal(3, 1.5, (bad, 1, 1)).astype(np.float32)
    samples = [Sample(Path(f"{i}.png"), f"{i}.png", "good") for i in range(good)]
    samples += [Sample(Path(f"bad{i}.png"), f"bad{i}.png", "dent", mask=mask) for i in range(bad)]
    return OutOfFold(samples, maps, np.arange(good + bad) % folds)


def with_noisy_image_head(out_of_fold: OutOfFold) -> OutOfFold:
    """Defective images have two more in the mean."""
    noise = np.random.default_rng(9).normal(0, 1, len(out_of_fold.samples))
    return replace(out_of_fold, image_log_odds=(noise + 2 * out_of_fold.is_anomaly).astype(np.float32))


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
def test_a_post_processor_is_what_its_steps_choose(
    rule: LeastCost | ErrorRateLimits | Fixed, rate: float | None
) -> None:
    out_of_fold = drawn()
    post_processor = fit_post_processor(out_of_fold, replace(METHOD, rule=rule, defect_rate=rate))
    pooled = Pooling(0.1)(out_of_fold.maps)
    calibration = fit_platt(pooled, out_of_fold.is_anomaly)
    shift = prior_shift(1 / 3, rate)
    assert post_processor.calibration == calibration
    assert post_processor.shift == pytest.approx(shift)
    calibrated = np.array([calibration(value) for value in pooled.tolist()])
    assert post_processor.thresholds == choose_thresholds(
        rule, calibrated, out_of_fold.is_anomaly, post_processor.shift
    )
    assert post_processor.heatmap_scale == choose_heatmap_scale(out_of_fold.maps[:30], NO_MASKS, NO_MASKS)


def test_a_calibration_that_is_given_stays() -> None:
    softmax = Calibration(1.0, 0.0, 0.25)
    post_processor = fit_post_processor(drawn(), Method(Pooling(), Fixed(0.5), 0.1, softmax))
    assert post_processor.calibration == softmax
    assert post_processor.shift == prior_shift(0.25, 0.1)


def test_predictions_are_the_post_processors_on_each_map() -> None:
    out_of_fold = drawn()
    scale = fit_post_processor(out_of_fold, METHOD).heatmap_scale
    post_processor = PostProcessor(
        Pooling(0.1), Calibration(2.0, 1.0, 0.3), Thresholds(0.2, 0.4, 0.6), scale, -1.5, HeadWeights()
    )
    predictions = post_processor.predictions(out_of_fold.samples[:3], out_of_fold.maps[:3], None, fold=4)
    pooled = Pooling(0.1)(out_of_fold.maps[:3])
    assert [p.log_odds for p in predictions] == (2 * pooled + 1).tolist()
    for prediction, sample, evidence in zip(predictions, out_of_fold.samples, out_of_fold.maps, strict=False):
        assert prediction.sample == sample
        assert np.array_equal(prediction.evidence, evidence)
        assert (prediction.thresholds, prediction.heatmap_scale) == (post_processor.thresholds, scale)
        assert (prediction.shift, prediction.fold) == (-1.5, 4)


def test_the_image_head_is_part_of_every_map_and_of_what_is_chosen_on_them() -> None:
    out_of_fold = with_noisy_image_head(drawn())
    post_processor = fit_post_processor(out_of_fold, METHOD)
    assert out_of_fold.image_log_odds is not None
    assert (
        post_processor.head
        == choose_head_weights(Pooling(0.1)(out_of_fold.maps), out_of_fold.image_log_odds, out_of_fold.is_anomaly)
        != HeadWeights()
    )
    whole, shown = (
        out_of_fold.maps + np.float32(weight) * out_of_fold.image_log_odds[:, None, None]
        for weight in (post_processor.head.verdict, post_processor.head.heatmap)
    )
    of_whole, of_shown = (
        fit_post_processor(replace(out_of_fold, maps=maps, image_log_odds=None), METHOD) for maps in (whole, shown)
    )
    assert post_processor == replace(of_whole, head=post_processor.head, heatmap_scale=of_shown.heatmap_scale)
    predictions = post_processor.predictions(out_of_fold.samples, out_of_fold.maps, out_of_fold.image_log_odds)
    assert np.array_equal([p.evidence for p in predictions], whole)
    rendered = np.array([p.heatmap_scale(p.evidence) for p in predictions])
    assert rendered == pytest.approx(of_shown.heatmap_scale(shown), abs=1e-5)


def test_heatmaps_show_less_of_a_strong_image_head_than_the_verdict_has() -> None:
    out_of_fold = drawn()
    head = np.random.default_rng(4).normal(0, 0.3, len(out_of_fold.samples)) + 3 * out_of_fold.is_anomaly
    post_processor = fit_post_processor(replace(out_of_fold, image_log_odds=head.astype(np.float32)), METHOD)
    assert 0 < post_processor.head.share < 0.5
    assert post_processor.head.beyond > post_processor.head.heatmap


@pytest.mark.parametrize("out_of_fold", [drawn(), with_noisy_image_head(drawn())])
def test_each_fold_is_decided_by_the_other_folds_and_order_is_kept(out_of_fold: OutOfFold) -> None:
    predictions = cross_val_post_process(out_of_fold, METHOD)
    assert [p.sample for p in predictions] == out_of_fold.samples
    assert [p.fold for p in predictions] == out_of_fold.fold_ids.tolist()
    for fold in range(3):
        inside = out_of_fold.fold_ids == fold
        own = out_of_fold.of(inside)
        expected = fit_post_processor(out_of_fold.of(~inside), METHOD).predictions(
            own.samples, own.maps, own.image_log_odds, fold=fold
        )
        assert said([p for p in predictions if p.fold == fold]) == said(expected)


@pytest.mark.parametrize("out_of_fold", [drawn(), with_noisy_image_head(drawn())])
def test_labels_and_maps_of_a_part_have_no_say_in_it(out_of_fold: OutOfFold) -> None:
    inside = out_of_fold.fold_ids == 1
    flipped = [
        replace(sample, kind="good" if sample.is_anomaly else "dent") if is_inside else sample
        for sample, is_inside in zip(out_of_fold.samples, inside, strict=True)
    ]
    before, after = (
        cross_val_post_process(out_of_fold, METHOD),
        cross_val_post_process(replace(out_of_fold, samples=flipped), METHOD),
    )
    assert said([p for p in before if p.fold == 1]) == said([p for p in after if p.fold == 1])
    assert said([p for p in before if p.fold == 0]) != said([p for p in after if p.fold == 0])

    changed = np.flatnonzero(inside)[::2]
    maps = out_of_fold.maps.copy()
    maps[changed] += 5
    after = cross_val_post_process(replace(out_of_fold, maps=maps), METHOD)
    unchanged = np.setdiff1d(np.flatnonzero(inside), changed)
    assert said([before[i] for i in unchanged]) == said([after[i] for i in unchanged])


def test_the_order_of_images_changes_no_word() -> None:
    out_of_fold = drawn()
    order = np.random.default_rng(5).permutation(len(out_of_fold.samples))
    shuffled = OutOfFold([out_of_fold.samples[i] for i in order], out_of_fold.maps[order], out_of_fold.fold_ids[order])
    before = {p.sample.name: p for p in cross_val_post_process(out_of_fold, METHOD)}
    for prediction in cross_val_post_process(shuffled, METHOD):
        expected = before[prediction.sample.name]
        assert prediction.log_odds == pytest.approx(expected.log_odds, abs=1e-6)
        assert prediction.thresholds.label == pytest.approx(expected.thresholds.label)
        assert prediction.heatmap_scale == expected.heatmap_scale


def test_masks_raise_the_region_threshold_where_they_may(mask: Mask) -> None:
    masked, unmasked = drawn(mask=mask), drawn()
    masked.maps[30:, 0, 0] += 6  # the rest of the corner is a halo
    unmasked.maps[:] = masked.maps
    without = fit_post_processor(unmasked, METHOD)
    post_processor = fit_post_processor(masked, METHOD)
    coverage = np.zeros((15, 6, 6), np.float32)
    coverage[:, 0, 0] = 1
    assert post_processor.heatmap_scale == choose_heatmap_scale(masked.maps[:30], masked.maps[30:], coverage)
    assert post_processor.heatmap_scale.good_median == without.heatmap_scale.good_median
    assert post_processor.heatmap_scale.region_threshold > without.heatmap_scale.region_threshold
    assert (post_processor.calibration, post_processor.thresholds) == (without.calibration, without.thresholds)


def test_masks_that_may_not_be_used_are_not_even_read() -> None:
    masked = drawn(mask=Mask((60, 60), b"can't be unpacked"))
    assert fit_post_processor(masked, replace(METHOD, use_masks=False)) == fit_post_processor(drawn(), METHOD)


@pytest.mark.parametrize(("good", "bad"), [(0, 15), (30, 0)])
def test_one_class_is_refused(good: int, bad: int) -> None:
    with pytest.raises(DataError, match="both good images and defective ones"):
        fit_post_processor(drawn(good, bad), METHOD)


@pytest.mark.parametrize(("good", "bad"), [(30, 15), (31, 14), (2, 1), (2, 0)])
def test_halves_divide_each_class_evenly_by_the_seed(good: int, bad: int) -> None:
    out_of_fold = halves(drawn(good, bad), seed=1)
    counts = [
        np.bincount(out_of_fold.fold_ids[chosen], minlength=2)
        for chosen in (out_of_fold.is_anomaly, ~out_of_fold.is_anomaly)
    ]
    assert all(abs(first - second) <= 1 for first, second in counts)
    assert np.array_equal(out_of_fold.fold_ids, halves(drawn(good, bad, folds=1), seed=1).fold_ids)
    assert good < 30 or not np.array_equal(out_of_fold.fold_ids, halves(drawn(good, bad), seed=2).fold_ids)


def test_a_half_without_a_good_image_names_what_is_missing() -> None:
    out_of_fold = halves(drawn(1, 5), seed=0)
    with pytest.raises(DataError, match="heatmap scale needs good images that the network hasn't seen"):
        cross_val_post_process(out_of_fold, Method(Pooling(), Fixed(0.5), calibration=Calibration(1.0, 0.0, 0.5)))


def test_a_moved_post_processor_predicts_the_same_on_maps_that_differ_linearly() -> None:
    """Where slope·theirs + offset are ours; heatmaps too."""
    out_of_fold, slope, offset = drawn(), 0.8, -1.3
    post_processor = fit_post_processor(out_of_fold, METHOD)
    theirs = ((out_of_fold.maps - offset) / slope).astype(np.float32)
    ours = post_processor.predictions(out_of_fold.samples, out_of_fold.maps, None)
    said = post_processor.moved(slope, offset).predictions(out_of_fold.samples, theirs, None)
    assert [p.log_odds for p in said] == pytest.approx([p.log_odds for p in ours], abs=1e-4)
    for mine, other in zip(ours, said, strict=True):
        assert other.heatmap_scale(other.evidence) == pytest.approx(mine.heatmap_scale(mine.evidence), abs=1e-4)
    assert [p.log_odds for p in post_processor.predictions(out_of_fold.samples, theirs, None)] != pytest.approx(
        [p.log_odds for p in ours], abs=0.1
    )
