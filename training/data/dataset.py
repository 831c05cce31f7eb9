"""A data set: its samples, each decoded and checked once before anything is trained."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from model.cpus import available_cpus
from model.errors import DataError
from model.image import FullScale, full_scale_for
from training.data.image_checks import CheckedImage, check_image, doubts, refuse_unusable
from training.data.image_sizes import parse_size
from training.data.masks import Mask
from training.data.roi import read_roi_files
from training.data.samples import Sample, find_samples, kinds_of
from training.progress import Advance, Reporter, no_progress


@dataclass(frozen=True)
class Dataset:
    """A data set whose every image can be read."""

    samples: list[Sample]
    """Labelled images with their masks. Group names also tie together samples of identical content."""
    digests: list[str]
    """SHA-256 of each sample's decoded pixels."""
    full_scale: FullScale | None
    """White of the 16-bit images; None where there are none."""
    sizes: dict[str, int]
    """How many images are so many pixels "width×height", the most frequent first."""
    warnings: Sequence[str] = ()
    """What may be wrong with the data."""
    roi: Mask | None = None
    """Where images count; None: everywhere."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every image's content and kind, sorted: the data set, however its files are called."""
        pairs = sorted(f"{digest} {sample.kind}" for digest, sample in zip(self.digests, self.samples, strict=True))
        return hashlib.sha256("\n".join(pairs).encode()).hexdigest()

    @property
    def duplicates(self) -> int:
        """How many images are copies of another one."""
        return len(self.digests) - len(set(self.digests))


def load_dataset(folder: Path, *, group: str | None, sample: int | None, seed: int, reporter: Reporter) -> Dataset:
    """Find and check the images; `sample`: only so many of them, drawn by `seed`, with the kinds in proportion.

    Raises DataError.
    """
    samples = find_samples(folder, group=group, say=reporter.line)
    if sample is not None and sample < len(samples):
        samples = _drawn(samples, sample, seed)
    with reporter.task("reading images", len(samples)) as advance:
        dataset = check_samples(samples, advance)
    dataset = _with_roi(dataset, folder)
    for warning in dataset.warnings:
        reporter.line(f"warning: {warning}")
    kinds = ", ".join(f"{kind} {count}" for kind, count in kinds_of(samples).items())
    copies = f"; {dataset.duplicates} are copies of others and stay with them" if dataset.duplicates else ""
    masked = sum(sample.mask is not None for sample in dataset.samples)
    masks = f"; {masked} have a mask" if masked else ""
    reporter.line(f"{len(samples)} images: {kinds}{masks}{copies}")
    return dataset


def check_samples(samples: Sequence[Sample], advance: Advance = no_progress) -> Dataset:
    """Read every image and mask, once. Raises DataError that names each file that can't be used, and why."""
    images = []
    with ThreadPoolExecutor(available_cpus()) as pool:
        for image in pool.map(check_image, samples):
            images.append(image)
            advance()
    refuse_unusable(samples, images)
    digests = [image.digest for image in images]
    peaks = [image.brightest for image in images if image.brightest is not None]
    full_scale = full_scale_for(max(peaks)) if peaks else None
    sizes = Counter(image.size for image in images)
    read = [_as_read(sample, image) for sample, image in zip(samples, images, strict=True)]
    return Dataset(_tied(read, digests), digests, full_scale, dict(sizes.most_common()), doubts(samples, images))


def _with_roi(dataset: Dataset, folder: Path) -> Dataset:
    """The data set with its region of interest, and a warning where defects lie outside. Raises DataError."""
    roi = read_roi_files(folder, dataset.sizes)
    if roi is None:
        return dataset
    inside, masked = roi.pixels(), [sample for sample in dataset.samples if sample.mask and sample.is_anomaly]
    outside = [each for each in masked if not _overlap(each.mask, inside)]
    warnings = list(dataset.warnings)
    if outside:
        warnings.append(
            f"the defects of {len(outside)} images lie outside the region of interest, as {outside[0].name}: they "
            "can't be found, and count as missed"
        )
    return replace(dataset, roi=roi, warnings=warnings)


def _overlap(mask: Mask | None, inside: NDArray[np.bool_]) -> bool:
    """Whether any defective pixel may lie inside; masks of another size aren't compared."""
    return mask is None or mask.shape != inside.shape or bool((mask.pixels() & inside).any())


def _as_read(sample: Sample, image: CheckedImage) -> Sample:
    """The sample with its image's size, and the mask that was read; a good one's is blank."""
    sized = replace(sample, size=parse_size(image.size))
    return replace(sized, mask=image.mask.mask) if image.mask and sample.is_anomaly else sized


def _drawn(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """`count` samples, with the kinds in proportion, but at least one of each."""
    kinds = kinds_of(samples)
    if count < len(kinds):
        raise DataError(f"--sample {count}: there are {len(kinds)} kinds of image, and one of each is the least")
    rng = np.random.default_rng(seed)
    ranked = []
    for kind, size in kinds.items():
        members = [sample for sample in samples if sample.kind == kind]
        ranked += [(rank / size, members[i]) for rank, i in enumerate(rng.permutation(size))]
    ranked.sort(key=lambda pair: pair[0])
    return sorted((sample for _, sample in ranked[:count]), key=lambda sample: sample.name)


def _tied(samples: Sequence[Sample], digests: Sequence[str]) -> list[Sample]:
    """Join groups that share an image's content, directly or through others."""
    first: dict[str, int] = {}
    edges = [
        (i, first.setdefault(key, i))
        for i, (sample, digest) in enumerate(zip(samples, digests, strict=True))
        for key in (f"group {sample.group}", f"content {digest}")
    ]
    rows, columns = zip(*edges, strict=True)
    graph = coo_array(([1] * len(edges), (rows, columns)), shape=(len(samples), len(samples)))
    _, components = connected_components(graph, directed=False)
    return [replace(sample, group=str(c)) for sample, c in zip(samples, components.tolist(), strict=True)]
