import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import save
from tests.training.predictions import prediction
from training.evaluation.prediction import Prediction
from training.report.thumbnails import make_thumbnails


def opened(uri: str | None) -> Image.Image:
    assert uri is not None
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def at(image: Path, mask: Path | None = None) -> Prediction:
    said = prediction("dent", 0.9, mask=mask)
    return replace(said, sample=replace(said.sample, path=image))


def test_small_and_of_the_images_shape(tmp_path: Path) -> None:
    scratch = np.zeros((1200, 1600), np.uint8)
    scratch[600, 200:1400] = 255  # one pixel wide
    image = save(tmp_path / "image.png", Image.new("RGB", (1600, 1200), (90, 120, 150)))
    thumbnails = make_thumbnails(at(image, save(tmp_path / "mask.png", Image.fromarray(scratch))), 32, None)
    assert (thumbnails.width, thumbnails.height) == (320, 240)
    assert (
        opened(thumbnails.image).size == opened(thumbnails.overlay).size == opened(thumbnails.mask).size == (320, 240)
    )
    assert np.asarray(opened(thumbnails.mask)).any()


@pytest.mark.parametrize(("row", "column"), [(2, 5), (5, 2), (2, 2), (5, 5)])
def test_evidence_shows_in_the_overlay_where_it_is(tmp_path: Path, row: int, column: int) -> None:
    """And nowhere else: a mirrored or turned overlay fails."""
    image = save(tmp_path / "image.png", Image.new("L", (64, 64), 100))
    evidence = np.zeros((8, 8), np.float32)
    evidence[row, column] = 4.0
    thumbnails = make_thumbnails(replace(at(image), evidence=evidence), 64, None)
    colours = np.asarray(opened(thumbnails.overlay)).astype(int)
    changed = np.abs(colours - 100).sum(axis=2)
    rows, columns = np.indices(changed.shape)
    centre = np.average(rows, weights=changed), np.average(columns, weights=changed)
    assert centre == pytest.approx((8 * row + 3.5, 8 * column + 3.5), abs=4)
    far = np.maximum(abs(rows - 8 * row - 3.5), abs(columns - 8 * column - 3.5)) > 16
    assert changed[far].max() < 30


def test_sixteen_bits(tmp_path: Path) -> None:
    image = save(tmp_path / "image.png", Image.fromarray(np.full((20, 30), 2048, np.uint16)))
    assert np.asarray(opened(make_thumbnails(at(image), 32, 4095).image)).mean() == 128


def test_lost_files_leave_gaps(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    for image in (tmp_path / "lost.png", broken):
        thumbnails = make_thumbnails(at(image), 32, None)
        assert thumbnails.image is thumbnails.overlay is thumbnails.mask is None


def test_what_does_not_count_is_dark(tmp_path: Path) -> None:
    image = save(tmp_path / "image.png", Image.new("RGB", (64, 64), (200, 200, 200)))
    evidence = np.zeros((8, 8), np.float32)
    evidence[:, 4:] = -np.inf
    thumbnails = make_thumbnails(replace(at(image), evidence=evidence), 64, None)
    colours = np.asarray(opened(thumbnails.overlay)).astype(int)
    assert colours[:, :28].min() > 150
    assert colours[:, 36:].max() < 80
    assert np.asarray(opened(thumbnails.image)).min() > 190
