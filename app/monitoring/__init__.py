"""What the service tells of itself and of its requests."""
