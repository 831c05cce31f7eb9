"""Pictures that strangers send are decoded, and overlays drawn, in child processes with limits of time and memory."""
