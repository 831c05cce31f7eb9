"""A sandbox for codecs: images that strangers send are decoded in child processes with limits of time and memory."""
