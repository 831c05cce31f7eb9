"""What surrounds every request: context, authentication, load shedding."""
