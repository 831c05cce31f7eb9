"""Programs that measure the service; docs/reliability.md has what they said."""
