"""Inspections to write, without a service."""

import time
from typing import Any

import numpy as np

from app.records.inference_id import new_inference_id
from app.records.inspection import Basis, Inspection, Origin, SentImage
from model.evidence import HeatmapScale
from model.verdict import Thresholds, Verdict


def inspection(number: int = 0, *, at: float | None = None, size: int = 100, **origin: Any) -> Inspection:
    received_at = round(1000 * (time.time() if at is None else at)) + number
    return Inspection(
        new_inference_id(received_at),
        Origin(f"request-{number}", received_at, **origin),
        Basis("widget", 1, "float32", Thresholds(0.3, 0.4, 0.5), 0.1, "0" * 64, 64, None, HeatmapScale(-2.0, 2.0, 0.5)),
        Verdict("good", "accept", 0.1 + number / 1e9, -2.0),
        (),
        0.5,
        SentImage(96, 96, "a" * 64, size),
        np.random.default_rng(number).normal(size=(8, 8)).astype(np.float32),
        None,
        {"decode": 1.0, "queue": 0.1, "predict": 20.0, "render": 0.3},
    )
