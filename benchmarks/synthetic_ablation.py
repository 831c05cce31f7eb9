"""Which kinds of synthetic anomaly earn their lines: learn from some of them alone, and rank real defects.

    python -m benchmarks.synthetic_ablation --data mvtec_ad_512/capsule --by module

Features are computed once, of good images, of real defects, and of images with four anomalies of one kind each. Then a
set of kinds costs one linear system: in place of the preset's logistic regression stands least squares on the same
patches, hard good ones mined with all kinds. Two thirds of the good images are learnt from; the others and every defect
are ranked. A set that was chosen on one product has to be checked on another.
"""

import argparse
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import report
from model.preprocessing import Resizing
from training.data.samples import find_samples
from training.estimators.logistic import FeatureScale
from training.estimators.network import fresh_network
from training.evaluation.ranking import Ranking
from training.features.extraction import Features, ImageLoader, compute_features
from training.features.imagenet import imagenet_trunk
from training.features.input_images import InputImages
from training.progress import Reporter
from training.recipe import Patches, read_recipe
from training.synthetic import KINDS, foreground, make_anomaly

Floats = NDArray[np.float32]
Grams = dict[str, Floats]
"""By kind: Z'Z of its patches Z, n×(C+2): features, 1 and the target. It is all that least squares needs."""

_ANOMALIES: Final = 4  # in each synthetic image
_DRAWS: Final = 3  # of two thirds of the synthetic images
_MINING_ROUNDS: Final = 3
_HARD: Final = 24  # patches of a good image, each round
_BESIDE: Final = 0.15  # of the drawn good patches lie beside anomalies
_L2_PENALTY: Final = 0.02
_FULL: Final = 0.25  # of a patch; from this share on it counts as defective
_STEPS: Final = 7  # of the search


@dataclass(frozen=True, eq=False)
class Ablation:
    """What kinds are compared by."""

    draws: list[tuple[Grams, Grams]]
    """Of patches on anomalies, and beside them."""
    good: Floats
    """The Gram matrix of drawn good patches; `hard`: of mined ones."""
    hard: Floats
    ranked: Floats
    """N×P×(C+1): the patches of what is ranked."""
    is_anomaly: NDArray[np.bool_]
    recipe: Patches

    def aurocs(self, kinds: Sequence[str]) -> NDArray[np.float64]:
        """Of a regression on these kinds; one for each draw."""
        return np.array([self._auroc(solved(*draw, [self.good, self.hard], kinds)) for draw in self.draws])

    def _auroc(self, weights: Floats) -> float:
        pooled = self.recipe.pooling((self.ranked @ weights)[:, None])
        return float(Ranking.of(pooled, self.is_anomaly).auroc()[0])


def gram(features: Floats, target: float | Floats) -> Floats:
    """Of patches n×(C+1)."""
    patches = np.column_stack([features, np.broadcast_to(np.float32(target), len(features))])
    return np.asarray(patches.T @ patches)


def mean(parts: Iterable[tuple[float, Floats]]) -> Floats:
    """Of a patch, where those of each Gram matrix count so much."""
    total = sum((np.float32(weight) * part for weight, part in parts), np.zeros(1, np.float32))
    return np.asarray(total / total[-2, -2])


def solved(defective: Grams, beside: Grams, good: Sequence[Floats], kinds: Sequence[str]) -> Floats:
    """Weights C+1 of the regression on 1 (defective) and −1 (good), where both classes weigh alike."""
    on, off = (mean((1, part[kind]) for kind in kinds) for part in (defective, beside))
    drawn, *mined = (mean([(1, part)]) for part in good)
    negative = mean([(1, part) for part in (mean([(1 - _BESIDE, drawn), (_BESIDE, off)]), *mined)])
    both = mean([(1, on), (1, negative)]).astype(np.float64)
    penalty = np.full(len(both) - 1, _L2_PENALTY)
    penalty[-1] = 1e-6  # the constant
    return np.linalg.solve(both[:-1, :-1] + np.diag(penalty), both[:-1, -1]).astype(np.float32)


def prepare(data: Path, recipe: Patches, most_good: int, images: int) -> Ablation:
    """From at most so many good images, all real defects, and so many images of each kind."""
    rng = np.random.default_rng(0)
    samples = find_samples(data)
    good = rng.permutation([i for i, sample in enumerate(samples) if not sample.is_anomaly])[:most_good]
    defects = [i for i, sample in enumerate(samples) if sample.is_anomaly]
    ranked, learnt = [*good[: len(good) // 3], *defects], good[len(good) // 3 :]
    resizing = Resizing(recipe.input_size, None, recipe.reduced_decoding)
    loaders = InputImages([samples[i] for i in [*learnt, *ranked]], resizing).loaders
    made, shares = _synthetic(loaders[: len(learnt)], recipe, images)
    features = _features(loaders + [partial(np.copy, image) for image in made], recipe)
    count = min(features.shape[1], -(-recipe.good_patches // len(learnt)))
    some = [rng.choice(features.shape[1], count, replace=False) for _ in learnt]
    scale = FeatureScale.fit(np.concatenate([each[i] for each, i in zip(features, some, strict=False)]))

    def scaled(patches: Floats) -> Floats:
        return np.concatenate([scale(patches), np.ones((*patches.shape[:-1], 1), np.float32)], axis=-1)

    patches = [scaled(each) for each in features[: len(learnt)]]
    drawn = gram(np.concatenate([each[i] for each, i in zip(patches, some, strict=True)]), -1)
    grams = [
        _on_and_beside(scaled(each), share, recipe, rng)
        for each, share in zip(features[len(loaders) :], shares, strict=True)
    ]
    draws = [_drawn(grams, images, rng) for _ in range(_DRAWS)]
    is_anomaly = np.array([samples[i].is_anomaly for i in ranked])
    return Ablation(
        draws, drawn, _hard(patches, *draws[0], drawn), scaled(features[len(learnt) : len(loaders)]), is_anomaly, recipe
    )


def _synthetic(
    loaders: Sequence[ImageLoader], recipe: Patches, images: int
) -> tuple[list[NDArray[np.uint8]], list[Floats]]:
    """So many images of each kind, in order, and the share P of each patch that is changed."""
    stride = recipe.hypercolumn.stride
    made, shares = [], []
    for kind in KINDS:
        rng = np.random.default_rng(zlib.crc32(kind.encode()))
        for i in rng.choice(len(loaders), images, replace=len(loaders) < images):
            image = loaders[i]()
            product, mask = foreground(image), np.zeros(image.shape[:2], bool)
            for _ in range(_ANOMALIES):
                image, changed = make_anomaly(image, product, rng, kind=kind)
                mask |= changed
            made.append(image)
            side = len(mask) // stride
            shares.append(mask.reshape(side, stride, side, stride).mean((1, 3), dtype=np.float32).ravel())
    return made, shares


def _features(loaders: Sequence[ImageLoader], recipe: Patches) -> Features:
    network = fresh_network(imagenet_trunk(), recipe.hypercolumn, recipe.seed, "cpu")
    with Reporter().task("features", len(loaders)) as advance:
        return compute_features(
            lambda pixels: (
                network.columns(network.layers(network.normalised(pixels))).permute(0, 2, 3, 1).flatten(1, 2)  # n×P×C
            ),
            loaders,
            "cpu",
            advance,
        )


def _on_and_beside(patches: Floats, share: Floats, recipe: Patches, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Gram matrices of an image's patches on its anomalies and of those beside them."""
    on, off = (rng.permutation(np.flatnonzero(some))[: recipe.defect_patches] for some in (share > 0, share == 0))
    return gram(patches[on], 2 * np.minimum(1, share[on] / np.float32(_FULL)) - 1), gram(patches[off], -1)


def _drawn(grams: Sequence[tuple[Floats, Floats]], images: int, rng: np.random.Generator) -> tuple[Grams, Grams]:
    """Two thirds of each kind's images."""
    defective, beside = {}, {}
    for number, kind in enumerate(KINDS):
        chosen = number * images + rng.choice(images, -(-2 * images // 3), replace=False)
        defective[kind], beside[kind] = (sum(grams[i][part] for i in chosen) for part in (0, 1))
    return defective, beside


def _hard(images: Sequence[Floats], defective: Grams, beside: Grams, drawn: Floats) -> Floats:
    """Good patches that a regression on all kinds takes for the most defective, some more each round."""
    found: list[Floats] = []
    for _ in range(_MINING_ROUNDS):
        mined = [gram(np.concatenate(found), -1)] if found else []
        weights = solved(defective, beside, [drawn, *mined], tuple(KINDS))
        found += [patches[np.argpartition(-(patches @ weights), _HARD)[:_HARD]] for patches in images]
    return gram(np.concatenate(found), -1)


def rows_of(ablation: Ablation, groups: dict[str, list[str]]) -> list[dict[str, object]]:
    """All kinds, all but each group, and the groups that a greedy search adds one by one."""

    def row(name: str, kinds: Sequence[str]) -> dict[str, object]:
        found = ablation.aurocs(kinds)
        return {"learnt from": name, "AUROC": f"{found.mean():.4f}", "draws": f"{found.min():.4f}–{found.max():.4f}"}

    def kinds_of(names: Sequence[str]) -> list[str]:
        return [kind for name in names for kind in groups[name]]

    rows = [row("all", tuple(KINDS))]
    rows += [row(f"all but {name}", kinds_of([other for other in groups if other != name])) for name in groups]
    chosen: list[str] = []
    for _ in range(min(_STEPS, len(groups))):
        rest = [name for name in groups if name not in chosen]
        chosen.append(max(rest, key=lambda name: ablation.aurocs(kinds_of([*chosen, name])).mean()))
        rows.append(row(" + ".join(chosen), kinds_of(chosen)))
    return rows


def main() -> None:
    """A table on standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="images of one product")
    parser.add_argument("--by", choices=["kind", "module"], default="module", help="what is left out or added at once")
    parser.add_argument("--good", type=int, default=240, help="good images at most")
    parser.add_argument("--images", type=int, default=32, help="of each kind")
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    recipe = read_recipe("fast")
    assert isinstance(recipe, Patches)
    groups: dict[str, list[str]] = {}
    for kind in KINDS:
        module = KINDS[kind].corrupt.__module__.rpartition(".")[2]
        groups.setdefault(kind if chosen.by == "kind" else module, []).append(kind)
    rows = rows_of(prepare(chosen.data, recipe, chosen.good, chosen.images), groups)
    report(f"synthetic anomalies: {chosen.data.name}", rows, chosen.json and chosen.json / "synthetic.json")


if __name__ == "__main__":
    main()
