"""Drift: control charts of what the line's images score, against the version's held-out images."""
