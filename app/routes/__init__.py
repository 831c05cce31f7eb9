"""Routes of the HTTP API, one module per group of addresses."""
