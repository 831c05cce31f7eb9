"""The network, its verdict and picture, and the artifact: what training writes and the service reads."""
