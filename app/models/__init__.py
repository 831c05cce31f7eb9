"""The models that the service has loaded, and how they follow the store."""
