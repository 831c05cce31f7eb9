"""What can be asked, a file for each kind."""

from typing import Final

PROBES: Final = {"/livez", "/readyz", "/healthz", "/metrics", "/v2/health/live", "/v2/health/ready"}
"""For whoever runs the service: asked every few seconds, by an address and not a host's name, without a key."""
