"""A folder that others write images into: each is inspected once, sorted by its decision, and has a line in a log."""
