"""From an admitted image to its result."""
