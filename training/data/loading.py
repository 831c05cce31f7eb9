"""From a folder to checked samples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.errors import DataError
from training.data.dataset import Dataset, survey
from training.data.samples import Sample, find_samples, kinds_of
from training.progress import Reporter


def load_dataset(folder: Path, *, group: str | None, sample: int | None, seed: int, reporter: Reporter) -> Dataset:
    """Find and check the images; `sample`: only so many of them, drawn by `seed`, with the kinds in proportion.

    Raises DataError.
    """
    samples = find_samples(folder, group=group, say=reporter.line)
    if sample is not None and sample < len(samples):
        samples = _drawn(samples, sample, seed)
    with reporter.task("reading images", len(samples)) as advance:
        found = survey(samples, advance)
    for warning in found.warnings:
        reporter.line(f"warning: {warning}")
    kinds = ", ".join(f"{kind} {count}" for kind, count in kinds_of(samples).items())
    copies = f"; {found.duplicates} are copies of others and stay with them" if found.duplicates else ""
    masked = sum(sample.mask is not None for sample in found.samples)
    masks = f"; {masked} have a mask" if masked else ""
    reporter.line(f"{len(samples)} images: {kinds}{masks}{copies}")
    return found


def _drawn(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """`count` samples, with the kinds in proportion, but at least one of each."""
    kinds = kinds_of(samples)
    if count < len(kinds):
        raise DataError(f"--sample {count}: there are {len(kinds)} kinds of image, and one of each is the least")
    rng = np.random.default_rng(seed)
    ranked = []
    for kind, size in kinds.items():
        members = [sample for sample in samples if sample.kind == kind]
        ranked += [(place / size, members[i]) for place, i in enumerate(rng.permutation(size))]
    ranked.sort(key=lambda pair: pair[0])
    return sorted((sample for _, sample in ranked[:count]), key=lambda sample: sample.name)
