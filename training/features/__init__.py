"""ImageNet's features of images, cached."""
