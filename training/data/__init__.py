"""From a folder to a checked dataset."""
