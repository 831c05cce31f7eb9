"""What learns which patches are defective."""
