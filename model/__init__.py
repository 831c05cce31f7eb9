"""The network, its verdict and heatmap, and the artifact: what training writes and the service reads."""

import sys

if sys.platform != "linux":  # flock, control groups, /proc, RLIMIT_AS: said before one of them isn't found
    sys.exit(f"Camspector runs on Linux, and this is {sys.platform}: use its container image (docs/operations.md)")
