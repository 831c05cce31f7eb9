"""The network, its verdict and heatmap, and the artifact: what training writes and the service reads."""
