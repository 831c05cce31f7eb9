"""AIAG's guidelines for attribute studies (Measurement Systems Analysis, 4th ed., III-C): shown beside, not applied."""

from typing import Final

_WORDS: Final = ("acceptable", "marginal", "unacceptable")


def effectiveness(share: float) -> str:
    """At least 90 %, at least 80 %, less."""
    return _WORDS[0 if share >= 0.9 else 1 if share >= 0.8 else 2]


def escapes(share: float) -> str:
    """AIAG's miss rate: at most 2 %, at most 5 %, more."""
    return _WORDS[0 if share <= 0.02 else 1 if share <= 0.05 else 2]


def overkill(share: float) -> str:
    """AIAG's false alarm rate: at most 5 %, at most 10 %, more."""
    return _WORDS[0 if share <= 0.05 else 1 if share <= 0.1 else 2]


def kappa(value: float) -> str:
    """Over 0.75, between, under 0.40."""
    return "good to excellent" if value > 0.75 else "poor" if value < 0.4 else "between good and poor"
