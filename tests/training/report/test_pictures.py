import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training.report.pictures import take_pictures

from tests.training.conftest import save
from tests.training.predictions import prediction
from training.evaluation.prediction import Prediction


def opened(uri: str | None) -> Image.Image:
    assert uri is not None
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def at(photo: Path, mask: Path | None = None) -> Prediction:
    said = prediction("dent", 0.9, mask=mask)
    return replace(said, sample=replace(said.sample, path=photo))


def test_small_and_of_the_photos_shape(tmp_path: Path) -> None:
    scratch = np.zeros((1200, 1600), np.uint8)
    scratch[600, 200:1400] = 255  # one pixel wide
    photo = save(tmp_path / "photo.png", Image.new("RGB", (1600, 1200), (90, 120, 150)))
    pictures = take_pictures(at(photo, save(tmp_path / "mask.png", Image.fromarray(scratch))), 32, None)
    assert (pictures.width, pictures.height) == (320, 240)
    assert opened(pictures.photo).size == opened(pictures.overlay).size == opened(pictures.mask).size == (320, 240)
    assert np.asarray(opened(pictures.mask)).any()


@pytest.mark.parametrize(("row", "column"), [(2, 5), (5, 2), (2, 2), (5, 5)])
def test_evidence_shows_in_the_overlay_where_it_is(tmp_path: Path, row: int, column: int) -> None:
    """And nowhere else: a mirrored or turned overlay fails."""
    photo = save(tmp_path / "photo.png", Image.new("L", (64, 64), 100))
    evidence = np.zeros((8, 8), np.float32)
    evidence[row, column] = 4.0
    pictures = take_pictures(replace(at(photo), evidence=evidence), 64, None)
    colours = np.asarray(opened(pictures.overlay)).astype(int)
    changed = np.abs(colours - 100).sum(axis=2)
    rows, columns = np.indices(changed.shape)
    centre = np.average(rows, weights=changed), np.average(columns, weights=changed)
    assert centre == pytest.approx((8 * row + 3.5, 8 * column + 3.5), abs=4)
    far = np.maximum(abs(rows - 8 * row - 3.5), abs(columns - 8 * column - 3.5)) > 16
    assert changed[far].max() < 30


def test_sixteen_bits(tmp_path: Path) -> None:
    photo = save(tmp_path / "photo.png", Image.fromarray(np.full((20, 30), 2048, np.uint16)))
    assert np.asarray(opened(take_pictures(at(photo), 32, 4095).photo)).mean() == 128


def test_lost_files_leave_gaps(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    for photo in (tmp_path / "lost.png", broken):
        pictures = take_pictures(at(photo, broken), 32, None)
        assert pictures.photo is pictures.overlay is pictures.mask is None
