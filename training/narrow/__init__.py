"""The trunk made narrow for one product: fewer channels, chosen and solved anew on its own images."""
