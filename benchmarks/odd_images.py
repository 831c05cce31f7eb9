"""How often the gate stops ordinary images, and how surely everything else: a table for docs/results.md.

    python -m benchmarks.odd_images --cache odd --data capsule=mvtec_ad_512/capsule carpet=drawn/carpet --modify capsule

The gate is the preset's own, but that flipped copies are left out. What the network gives for an image is computed once
and kept in the cache's folder. Held-out images: five outer folds, in each of which the gate is fitted on the other
four, cross-validated within them. Another product's images are shown without their size, which would give them away.
Modified copies are of the first fold's test images, shown to the network and the gate of its training images.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import report
from benchmarks.modifications import BLUR, ORDINARY, WRONG, Modification, frames
from model.engines.output import NetworkOutput
from model.gate import CHECKS, Gate
from model.image import decode
from model.image_measures import pixel_measures
from model.network import VGG16CAM
from model.preprocessing import resize_to_input
from model.verdict import sigmoid
from training.data.dataset import load_dataset
from training.data.splits import Indices, make_folds
from training.estimators.network import fresh_network
from training.estimators.patch_estimator import PatchEstimator
from training.estimators.patches import PreparedPatches
from training.evaluation.gate_limits import Features, HeldOutMeasures, fit_appearance, fit_gate
from training.evaluation.post_processing import Method, fit_post_processor
from training.evaluation.thresholds import BestBalancedAccuracy
from training.features.imagenet import imagenet_trunk
from training.features.measuring import APPEARANCE, Measures, as_row
from training.progress import Reporter, no_progress
from training.recipe import Patches, read_recipe
from training.training_run import TrainingRun

_ODD_RATE: Final = 0.005
_FOLDS: Final = 5
_SIZES: Final = [CHECKS.index("size"), CHECKS.index("aspect")]


@dataclass(frozen=True, eq=False)
class Product:
    """The images of a product as the gate sees them, n."""

    name: str
    features: Features
    measures: Measures
    """Without the appearance, which depends on the images it is compared with."""
    is_anomaly: NDArray[np.bool_]
    folds: list[tuple[Indices, Indices]]
    """Training and test part of each outer fold."""


def built(product: Product, train: Indices) -> tuple[Gate, Callable[[Features, Measures], Measures]]:
    """The gate of these images, and what completes measures by the appearance."""
    parts = []
    for fold, inner in enumerate(np.array_split(np.random.default_rng(0).permutation(train), _FOLDS)):
        appearance = fit_appearance(product.features[np.setdiff1d(train, inner)])
        values = completed(product.features[inner], product.measures[inner], appearance.distance)
        parts.append(HeldOutMeasures(values, product.is_anomaly[inner], np.full(len(inner), fold)))
    whole = fit_appearance(product.features[train])
    gate = fit_gate(HeldOutMeasures.concatenate(parts), whole, _ODD_RATE)
    return gate, lambda features, measures: completed(features, measures, whole.distance)


def completed(features: Features, measures: Measures, distance: Callable[[Features], NDArray[np.float64]]) -> Measures:
    values = measures.copy()
    values[:, APPEARANCE] = distance(features)
    return values


def is_odd(values: Measures, gate: Gate) -> NDArray[np.bool_]:
    low, high = np.array([gate.limits[name] for name in CHECKS]).T
    return np.asarray(((values < low) | (values > high)).any(axis=1))


def held_out(product: Product, *, good_only: bool = False) -> tuple[float, float]:
    """Share of good and of defective images that are odd to a gate of the other folds' images."""
    odd = np.zeros(len(product.measures), bool)
    for train, test in product.folds:
        gate, complete = built(product, train[~product.is_anomaly[train]] if good_only else train)
        odd[test] = is_odd(complete(product.features[test], product.measures[test]), gate)
    return float(odd[~product.is_anomaly].mean()), float(odd[product.is_anomaly].mean())


def other_products(product: Product, others: Sequence[Product]) -> Iterator[tuple[str, float]]:
    """Share of each other product's images that are odd, their size aside."""
    gate, complete = built(product, np.arange(len(product.measures)))
    for other in others:
        if other is not product:
            values = complete(other.features, other.measures)
            values[:, _SIZES] = product.measures[0, _SIZES]
            yield other.name, float(is_odd(values, gate).mean())


def prepare(folder: Path, recipe: Patches, sample: int | None, seed: int, reporter: Reporter) -> PreparedPatches:
    dataset = load_dataset(folder, group=None, sample=sample, seed=seed, reporter=reporter)
    estimator = PatchEstimator(recipe)
    method = estimator.method(dataset.samples, BestBalancedAccuracy())
    run = TrainingRun(dataset, recipe, method, imagenet_trunk(), reporter)
    prepared = estimator.prepare(run)
    assert isinstance(prepared, PreparedPatches)  # the recipe's trunk is the full one
    return prepared


def product_of(name: str, arrays: dict[str, NDArray[Any]]) -> Product:
    ends = np.cumsum(arrays["sizes"])[:-1]
    tests = np.split(arrays["tests"], ends)
    everything = np.arange(len(arrays["is_anomaly"]))
    folds = [(np.setdiff1d(everything, test), test) for test in tests]
    return Product(name, arrays["features"], arrays["measures"], arrays["is_anomaly"], folds)


def arrays_of(images: Callable[[], PreparedPatches], seed: int) -> dict[str, NDArray[Any]]:
    """What is kept of a product's images."""
    prepared = images()
    splits = make_folds(prepared.training_set.samples, _FOLDS, seed)
    return {
        "features": prepared.grid_features,
        "measures": prepared.measures,
        "is_anomaly": prepared.training_set.is_anomaly,
        "tests": np.concatenate([split.test for split in splits]),
        "sizes": np.array([len(split.test) for split in splits]),
    }


def modified(
    product: Product,
    images: Callable[[], PreparedPatches],
    chosen: dict[str, Modification],
    count: int,
    reporter: Reporter,
) -> dict[str, NDArray[Any]]:
    """What the network gives for modified copies of up to `count` test images of the first fold, half of them
    defective: measures, features and labels of each modification, and which images are defective."""
    prepared, (train, test) = images(), product.folds[0]
    fitted = prepared.cross_val_predict(train, no_progress)
    post_processor = fit_post_processor(fitted.out_of_fold, Method(prepared.recipe.pooling, BestBalancedAccuracy()))
    network = fitted.model.to_network(post_processor.head.verdict)
    shown = np.concatenate([test[product.is_anomaly[test] == of_class][: count // 2] for of_class in (False, True)])
    found: dict[str, NDArray[Any]] = {"is_anomaly": product.is_anomaly[shown]}
    with reporter.task(f"{product.name}, modified", len(chosen) * len(shown)) as advance:
        for name, modification in chosen.items():
            rows, features, labels = [], [], []
            for i in shown:
                image = modification(decode(prepared.training_set.samples[i].path.read_bytes()).convert("RGB"))
                pixels = resize_to_input(image, *2 * (prepared.recipe.input_size,))
                evidence, of_gate = outputs(network, pixels)
                log_odds = post_processor.calibration(float(prepared.recipe.pooling(evidence)))
                rows.append([*product.measures[i, : len(_SIZES)], *as_row(pixel_measures(pixels))[len(_SIZES) :]])
                features.append(of_gate)
                labels.append(sigmoid(log_odds) >= post_processor.thresholds.label)
                advance()
            found |= {f"{name}: measures": np.array(rows), f"{name}: features": np.array(features)}
            found[f"{name}: labels"] = np.array(labels)
    return found


def outputs(network: VGG16CAM, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Features]:
    """Evidence map and the gate's features of one image."""
    with torch.inference_mode():
        output = NetworkOutput(*(each.numpy() for each in network.outputs(torch.from_numpy(pixels[np.newaxis]))))
    return output.whole[0], output.features[0]


def cached(path: Path, make: Callable[[], dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The arrays in the file; made and written where there is none."""
    if not path.exists():
        np.savez(path, allow_pickle=False, **make())
    with np.load(path) as found:
        return dict(found)


def balanced_accuracy(labels: NDArray[np.bool_], is_anomaly: NDArray[np.bool_]) -> float:
    return float(np.mean([(labels[is_anomaly == of_class] == of_class).mean() for of_class in (False, True)]))


def framed(recipe: Patches) -> dict[str, NDArray[Any]]:
    """What the network gives for frames without a part."""
    network = fresh_network(imagenet_trunk(), recipe.hypercolumn, recipe.seed, "cpu")
    found: dict[str, NDArray[Any]] = {}
    for name, images in frames(recipe.input_size).items():
        found[f"{name}: measures"] = np.array([as_row(pixel_measures(pixels)) for pixels in images])
        found[f"{name}: features"] = np.array([outputs(network, pixels)[1] for pixels in images])
    return found


def rows_of_frames(product: Product, arrays: dict[str, NDArray[Any]]) -> Iterator[tuple[str, float]]:
    gate, complete = built(product, np.arange(len(product.measures)))
    for name in frames(32):
        values = complete(arrays[f"{name}: features"], arrays[f"{name}: measures"])
        values[:, _SIZES] = product.measures[0, _SIZES]
        yield name, float(is_odd(values, gate).mean())


def rows_of_modified(
    product: Product, arrays: dict[str, NDArray[Any]], good_only: bool
) -> Iterator[tuple[str, float, float]]:
    """Name, share that is odd, and the network's balanced accuracy."""
    train = product.folds[0][0]
    gate, complete = built(product, train[~product.is_anomaly[train]] if good_only else train)
    for key in arrays:
        if key.endswith(": labels"):
            name = key.removesuffix(": labels")
            values = complete(arrays[f"{name}: features"], arrays[f"{name}: measures"])
            yield name, float(is_odd(values, gate).mean()), balanced_accuracy(arrays[key], arrays["is_anomaly"])


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=DIR", help="products, and their folders")
    parser.add_argument("--modify", nargs="*", default=[], metavar="NAME", help="products whose images are modified")
    parser.add_argument(
        "--blur", nargs="*", default=[], metavar="NAME", help="products whose images are blurred, no more"
    )
    parser.add_argument("--images", type=int, default=60, metavar="N", help="of which modified copies are made")
    parser.add_argument("--sample", type=int, metavar="N", help="use only N images of each product")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--seed", type=int, default=42, help="of the folds, and of the sample")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.preset, seed=arguments.seed)
    assert isinstance(recipe, Patches)
    recipe = msgspec.structs.replace(recipe, flips=0)
    cache: Path = arguments.cache / f"{recipe.name}-{arguments.seed}"
    cache.mkdir(parents=True, exist_ok=True)
    reporter = Reporter()
    of_frames = cached(cache / "frames.npz", lambda: framed(recipe))
    products: list[Product] = []
    copies: dict[str, dict[str, NDArray[Any]]] = {}
    for name, folder in (each.split("=", 1) for each in arguments.data):
        images = lru_cache(1)(partial(prepare, Path(folder), recipe, arguments.sample, arguments.seed, reporter))
        kept = cached(cache / f"{name}.npz", partial(arrays_of, images, arguments.seed))
        products.append(product_of(name, kept))
        if name in [*arguments.modify, *arguments.blur]:
            chosen = BLUR | (WRONG | ORDINARY if name in arguments.modify else {})
            make = partial(modified, products[-1], images, chosen, arguments.images, reporter)
            copies[name] = cached(cache / f"{name}.modified.npz", make)
    rows = [row for product in products for row in rows_of(product, products, of_frames, copies.get(product.name))]
    title = f"Share of images that the gate calls odd, preset {recipe.name}, seed {arguments.seed}"
    report(title, rows, arguments.json)


def rows_of(
    product: Product,
    products: Sequence[Product],
    of_frames: dict[str, NDArray[Any]],
    copies: dict[str, NDArray[Any]] | None,
) -> Iterator[dict[str, object]]:
    for training, good_only in (("all", False), ("good only", True)):
        good, defective = held_out(product, good_only=good_only)
        yield row(product.name, training, "held-out good", good)
        yield row(product.name, training, "held-out defective", defective)
        for name, odd, accuracy in rows_of_modified(product, copies or {}, good_only):
            yield row(product.name, training, name, odd, accuracy)
    for other, odd in other_products(product, products):
        yield row(product.name, "all", f"images of {other}", odd)
    for name, odd in rows_of_frames(product, of_frames):
        yield row(product.name, "all", name, odd)


def row(product: str, training: str, shown: str, odd: float, accuracy: float | None = None) -> dict[str, object]:
    return {
        "model of": product,
        "trained on": training,
        "shown": shown,
        "odd": percent(odd),
        "balanced accuracy": "" if accuracy is None else percent(accuracy),
    }


if __name__ == "__main__":
    main()
