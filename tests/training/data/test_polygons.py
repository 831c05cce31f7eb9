"""roi.json: polygons are what a mask would say, and what can't be meant is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError
from training.data.polygons import read_polygons

WIDTH, HEIGHT = 40, 20
SQUARE = [[10, 5], [20, 5], [20, 15], [10, 15]]


def write(folder: Path, **members: object) -> Path:
    path = folder / "roi.json"
    path.write_text(json.dumps({"image": {"width": WIDTH, "height": HEIGHT}, **members}))
    return path


def test_pixels_count_whose_centre_lies_inside(tmp_path: Path) -> None:
    polygons = read_polygons(write(tmp_path, include=[SQUARE]))
    expected = np.zeros((HEIGHT, WIDTH), np.bool_)
    expected[5:15, 10:20] = True
    assert np.array_equal(polygons.inside(WIDTH, HEIGHT), expected)
    assert np.array_equal(polygons.inside(3 * WIDTH, 3 * HEIGHT), np.kron(expected, np.ones((3, 3), np.bool_)))


def test_slanted_edges_agree_with_the_even_odd_rule(tmp_path: Path) -> None:
    """Point by point, of a polygon that is not convex."""
    corners = [[1.3, 2.2], [38.9, 1.1], [22.5, 8.4], [35.0, 19.6], [17.2, 12.0], [3.7, 18.8]]
    inside = read_polygons(write(tmp_path, include=[corners])).inside(WIDTH, HEIGHT)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            x, y = column + 0.5, row + 0.5
            crossings = 0
            for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
                if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                    crossings += 1
            assert inside[row, column] == crossings % 2, (row, column)
    assert 0.2 < inside.mean() < 0.8


def test_what_is_ignored_is_taken_out_of_what_is_included(tmp_path: Path) -> None:
    hole = [[12, 7], [18, 7], [18, 13], [12, 13]]
    both = read_polygons(write(tmp_path, include=[SQUARE, [[0, 0], [5, 0], [5, 5], [0, 5]]], ignore=[hole]))
    assert both.inside(WIDTH, HEIGHT).sum() == 100 + 25 - 36
    alone = read_polygons(write(tmp_path, ignore=[hole]))
    assert alone.inside(WIDTH, HEIGHT).sum() == WIDTH * HEIGHT - 36


def test_edges_that_touch_do_not_cross(tmp_path: Path) -> None:
    pinched = [[0, 0], [10, 10], [20, 0], [20, 20], [10, 10], [0, 20]]
    assert read_polygons(write(tmp_path, include=[pinched])).inside(WIDTH, HEIGHT).any()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "has no polygon"),
        ({"include": [], "ignore": []}, "has no polygon"),
        ({"include": [SQUARE, SQUARE[:2]]}, "polygon 2 of include has 2 corners"),
        ({"ignore": [SQUARE * 300]}, "polygon 1 of ignore has 1200 corners"),
        ({"include": [[[0, 0], [41, 0], [5, 5]]]}, r"the corner \(41, 0\), outside the image of 40×20"),
        ({"include": [[[0, -0.5], [4, 0], [5, 5]]]}, "outside the image"),
        ({"include": [[[0, 0], [20, 20], [20, 0], [0, 20]]]}, "crosses itself"),
        ({"include": [[[0, 0], [1, 2, 3], [5, 5]]]}, "can't be read"),
        ({"include": [[["a", 0], [4, 0], [5, 5]]]}, "can't be read"),
        ({"include": SQUARE}, "can't be read"),
        ({"inclde": [SQUARE]}, "inclde"),
        ({"include": [SQUARE], "image": {"width": 0, "height": 20}}, "can't be read"),
    ],
)
def test_what_can_not_be_meant_is_refused(members: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_polygons(write(tmp_path, **members))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"include": [[[1e999, 0]]]}'])
def test_what_is_no_json_of_this_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "roi.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"roi\.json can't be read"):
        read_polygons(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        read_polygons(tmp_path)
