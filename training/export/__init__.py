"""From a fitted network to a version in the store."""
