"""A product's images on disk, as MVTec AD lays them out."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from examples.draw.product import PRODUCTS, PRODUCTS_BY_NAME, shoot
from model.errors import DataError
from training.progress import Advance, no_progress

SMALLEST_SIDE = 48


def draw(
    out: Path,
    *,
    products: Sequence[str] = PRODUCTS,
    good: int = 120,
    defective: int = 60,
    size: int = 256,
    seed: int = 0,
    advance: Advance = no_progress,
) -> list[Path]:
    """Folders of the products under `out`, each with `good` and `defective` square images `size` pixels wide.

    Every fifth good image is for testing; the defective ones are spread over the kinds of defect. The same arguments
    give the same bytes, and more images leave the first ones as they were. A folder appears when it is complete.
    `advance` is called after each image. Fails with DataError on a product that is not in PRODUCTS, a folder that
    is not empty, a size too small for the defects to show, or a negative number.
    """
    folders = [out / product for product in products]
    try:
        _check(out, products, size)
        if min(good, defective, seed) < 0:
            raise DataError(f"{good} good, {defective} defective and seed {seed}: none may be negative")
        for folder in folders:
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out, prefix=f".{folder.name}-") as unfinished:
                drawn = Path(unfinished) / folder.name
                drawn.mkdir()
                for split, kind, index in _plan(folder.name, good, defective):
                    _write(drawn, split, kind, index, size, seed)
                    advance()
                drawn.rename(folder)
    except OSError as error:
        raise DataError(f"{out} can't be drawn into: {error}") from error
    return folders


def _check(out: Path, products: Sequence[str], size: int) -> None:
    if size < SMALLEST_SIDE:
        raise DataError(f"an image {size} pixels wide is too small to draw: the least is {SMALLEST_SIDE}")
    for product in products:
        if product not in PRODUCTS_BY_NAME:
            raise DataError(f"unknown product {product!r}: there are {', '.join(PRODUCTS)}")
        if (out / product).exists() and any((out / product).iterdir()):
            raise DataError(f"{out / product} is not empty: nothing was drawn")


def _plan(product: str, good: int, defective: int) -> Iterator[tuple[str, str, int]]:
    """Split, kind and index of every image of a product."""
    tested = good // 5
    yield from (("train", "good", index) for index in range(good - tested))
    yield from (("test", "good", index) for index in range(tested))
    kinds = list(PRODUCTS_BY_NAME[product].defects)
    for position, kind in enumerate(kinds):
        share = (defective - position + len(kinds) - 1) // len(kinds)
        yield from (("test", kind, index) for index in range(share))


def _write(folder: Path, split: str, kind: str, index: int, size: int, seed: int) -> None:
    """One image, and its mask when it has a defect."""
    product = PRODUCTS_BY_NAME[folder.name]
    position = PRODUCTS.index(folder.name), ("train", "test").index(split), ("good", *product.defects).index(kind)
    shot = shoot(product, kind, size, np.random.SeedSequence([seed, *position, index]))
    _save(folder / split / kind / f"{index:03}.png", shot.image)
    if kind != "good":
        _save(folder / "ground_truth" / kind / f"{index:03}_mask.png", shot.mask.astype(np.uint8) * 255)


def _save(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
