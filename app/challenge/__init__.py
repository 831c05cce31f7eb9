"""Challenge images: known ones that show whether the service still sees."""
