"""What holds for every input: laws, tried by Hypothesis on inputs that it makes up, the same ones each time."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from app.errors import TensorError
from app.framing import Framing, FramingError
from app.v2.message import InputTensor
from app.v2.tensor import binary_values, read_bytes, read_strings
from model.evidence import HeatmapScale, Pooling
from model.regions import Box, find_regions
from model.store import Store
from model.verdict import Thresholds, logit, prior_shift, sigmoid
from training.evaluation.intervals import balanced_accuracy, rate, upper_bound

settings.register_profile("laws", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("laws")

LOG_ODDS = st.floats(-30, 30)
SHIFT = st.floats(-8, 8)
SHARE = st.floats(0.001, 0.999)
THRESHOLDS = st.lists(st.floats(0.001, 0.999), min_size=3, max_size=3).map(sorted).map(lambda three: Thresholds(*three))


@given(LOG_ODDS, LOG_ODDS)
def test_sigmoid_keeps_the_order(one: float, other: float) -> None:
    assert 0.0 <= sigmoid(one) <= 1.0
    assert (sigmoid(one) <= sigmoid(other)) or one > other


@given(SHARE)
def test_sigmoid_undoes_logit(probability: float) -> None:
    assert sigmoid(logit(probability)) == pytest.approx(probability)


@given(THRESHOLDS, SHIFT, LOG_ODDS)
def test_moved_thresholds_give_the_verdicts_of_before(thresholds: Thresholds, shift: float, log_odds: float) -> None:
    cuts = [logit(each) for each in (thresholds.review, thresholds.label, thresholds.reject)]
    assume(min(abs(log_odds - cut) for cut in cuts) > 1e-6)
    moved, before, after = thresholds.moved(shift), sigmoid(log_odds), sigmoid(log_odds + shift)
    assert moved.label_of(after) == thresholds.label_of(before)
    assert moved.decision_of(after) == thresholds.decision_of(before)


@given(THRESHOLDS, SHIFT, SHIFT)
def test_two_moves_are_one(thresholds: Thresholds, first: float, second: float) -> None:
    twice, once = thresholds.moved(first).moved(second), thresholds.moved(first + second)
    assert (twice.review, twice.label, twice.reject) == pytest.approx((once.review, once.label, once.reject), abs=1e-9)


@given(THRESHOLDS, st.floats(0, 1))
def test_accept_is_good_and_reject_is_anomaly(thresholds: Thresholds, probability: float) -> None:
    implied = {"accept": {"good"}, "reject": {"anomaly"}, "review": {"good", "anomaly"}}
    assert thresholds.label_of(probability) in implied[thresholds.decision_of(probability)]


@given(SHARE, SHARE, SHARE)
def test_prior_shifts_add_up(first: float, second: float, third: float) -> None:
    assert prior_shift(first, second) + prior_shift(second, third) == pytest.approx(prior_shift(first, third), abs=1e-9)


SIDES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)
MAPS = arrays.arrays(np.float32, SIDES, elements=st.floats(-50, 50, width=32))


@given(MAPS, SHARE)
def test_pooling_is_the_mean_of_the_strongest_patches(evidence: NDArray[np.float32], share: float) -> None:
    strongest = np.sort(evidence, axis=None)[::-1][: max(1, round(share * evidence.size))]
    assert Pooling(share)(evidence) == pytest.approx(float(strongest.mean(dtype=np.float64)), abs=1e-5)


@given(MAPS, SHARE, SHARE)
def test_fewer_patches_never_pool_to_less(evidence: NDArray[np.float32], one: float, other: float) -> None:
    few, many = sorted((one, other))
    assert Pooling(few)(evidence) >= Pooling(many)(evidence) - 1e-5
    assert evidence.min() - 1e-5 <= Pooling(few)(evidence) <= evidence.max() + 1e-5


@given(MAPS, SHARE, st.floats(0, 5))
def test_more_evidence_never_pools_to_less(evidence: NDArray[np.float32], share: float, more: float) -> None:
    assert Pooling(share)(evidence + np.float32(more)) >= Pooling(share)(evidence) - 1e-5
    assert Pooling(share)(evidence[::-1, ::-1]) == pytest.approx(float(Pooling(share)(evidence)), abs=1e-5)


@given(MAPS, st.floats(-10, 10), st.floats(0.01, 20))
def test_a_heatmap_keeps_the_order_of_evidence(evidence: NDArray[np.float32], dark: float, range_: float) -> None:
    scale = HeatmapScale(dark, dark + range_)
    values, order = scale(evidence).ravel(), evidence.ravel().argsort(kind="stable")
    assert (np.diff(values[order]) >= 0).all()
    assert ((values >= 0) & (values <= 1)).all()
    assert scale(np.array([scale.region_threshold, scale.good_median])) == pytest.approx([0.5, sigmoid(-4.0)], abs=1e-6)


MASKS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=24))


@given(MASKS)
def test_regions_are_the_components_that_scipy_finds(mask: NDArray[np.bool_]) -> None:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    boxes = [Box(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in ndimage.find_objects(labels)]
    areas = [round(100 * int(size) / mask.size, 6) for size in sizes]
    regions = find_regions(mask.astype(np.float32), mask.shape[1], mask.shape[0])
    assert len(regions) == count
    found = [(region.box, round(region.area_percent, 6)) for region in regions]
    assert sorted(found, key=repr) == sorted(zip(boxes, areas, strict=True), key=repr)


@given(MASKS, st.integers(1, 5000), st.integers(1, 5000))
def test_regions_lie_within_the_image(mask: NDArray[np.bool_], width: int, height: int) -> None:
    for region in find_regions(mask.astype(np.float32), width, height):
        box = region.box
        assert box.left >= 0 < box.width
        assert box.top >= 0 < box.height
        assert box.left + box.width <= width
        assert box.top + box.height <= height


@given(MASKS, st.integers(1, 5000), st.integers(1, 5000))
def test_a_box_covers_every_pixel_that_its_patches_touch(mask: NDArray[np.bool_], width: int, height: int) -> None:
    rows, columns = np.nonzero(mask)
    assume(len(rows))
    whole = find_regions((mask | True).astype(np.float32), width, height)
    assert [region.box for region in whole] == [Box(0, 0, width, height)]
    one = np.zeros(mask.shape, np.float32)
    one[rows[0], columns[0]] = 1.0
    (region,) = find_regions(one, width, height)
    across, down = width / mask.shape[1], height / mask.shape[0]
    left, top = math.floor(columns[0] * across + 1e-9), math.floor(rows[0] * down + 1e-9)
    right, bottom = math.ceil((columns[0] + 1) * across - 1e-9), math.ceil((rows[0] + 1) * down - 1e-9)
    assert region.box == Box(left, top, right - left, bottom - top)


def tensor(datatype: str, shape: list[int]) -> InputTensor:
    return InputTensor(name="image", datatype=datatype, shape=shape)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=8))
def test_binary_strings_come_back(values: list[bytes]) -> None:
    assert read_strings(tensor("BYTES", [len(values)]), binary_values(values)) == values


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=8), st.data())
def test_binary_strings_cut_short_are_refused(values: list[bytes], data: st.DataObject) -> None:
    whole = binary_values(values)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(TensorError):
        read_strings(tensor("BYTES", [len(values)]), cut)


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=4, max_dims=4, max_side=5)))
def test_binary_pixels_come_back(pixels: NDArray[np.uint8]) -> None:
    assert (read_bytes(tensor("UINT8", list(pixels.shape)), pixels.tobytes()) == pixels).all()


@given(st.integers(1, 500), st.data())
def test_more_successes_mean_a_higher_interval(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials - 1))
    less, more = rate(successes, trials), rate(successes + 1, trials)
    assert less.low <= less.value <= less.high
    assert (less.low, less.value, less.high) < (more.low, more.value, more.high)
    assert less.low <= more.low
    assert less.high <= more.high
    assert successes / trials < upper_bound(successes, trials) <= upper_bound(successes + 1, trials)


@given(st.integers(1, 200), st.integers(2, 5), st.data())
def test_more_images_mean_a_narrower_interval(trials: int, times: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    few, many = rate(successes, trials), rate(times * successes, times * trials)
    assert many.high - many.low < few.high - few.low
    assert upper_bound(times * successes, times * trials) <= upper_bound(successes, trials)
    both = balanced_accuracy(few, many)
    assert 0.0 <= both.low <= both.value <= both.high <= 1.0


@settings(max_examples=25)
@given(st.sets(st.integers(1, 10_000), max_size=5), st.sets(st.sampled_from(["0", "007", "new", ".draft", "1.0"])))
def test_a_version_gets_the_number_after_the_highest(numbers: set[int], strays: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "widget")
        for name in (*map(str, numbers), *strays):
            (home / name).mkdir(parents=True)
        path = Store(Path(folder)).publish("widget", lambda draft: (draft / "manifest.json").touch())
        assert path == home / str(max(numbers, default=0) + 1)
        assert Store(Path(folder)).versions("widget") == sorted({*numbers, int(path.name)})


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_a_chunked_body_is_the_same_however_it_arrives(chunks: list[bytes], steps: list[int]) -> None:
    sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert unchunked(sent, [len(sent)]) == unchunked(sent, steps) == b"".join(chunks)


def unchunked(sent: bytes, steps: list[int]) -> bytes:
    """The data of a chunked body that comes in pieces of these lengths, over and over."""
    framing, out, start = Framing(), b"", 0
    framing.expect_body([(b"transfer-encoding", b"chunked")])
    for number in range(len(sent)):
        step = steps[number % len(steps)]
        framing.feed(sent[start : start + step])
        start += step
        out += framing.take_body()
    return joined(out)


def joined(chunked: bytes) -> bytes:
    """The data in chunks."""
    data = b""
    while chunked:
        size, _, rest = chunked.partition(b"\r\n")
        data += rest[: int(size, 16)]
        chunked = rest[int(size, 16) + 2 :]
    return data


@given(st.binary(max_size=300))
def test_no_bytes_break_the_framing_otherwise_than_by_its_error(sent: bytes) -> None:
    framing = Framing()
    framing.expect_body([(b"transfer-encoding", b"chunked")])
    framing.feed(sent)
    try:
        body = framing.take_body()
    except FramingError:
        return
    assert len(body) <= len(sent) + 16 + math.ceil(math.log2(len(sent) + 1))
