"""From a folder of images to a version in the store: data, fit, evaluate, export."""
