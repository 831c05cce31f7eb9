"""What is wrong and stays so: said once, not at every look."""

import logging


class LogOnce:
    """Logged when they come, and when they go."""

    def __init__(self, log: logging.Logger) -> None:
        self.now: set[str] = set()
        self._log = log

    def are(self, complaints: set[str]) -> None:
        """All that there is to complain of now."""
        for complaint in sorted(complaints - self.now):
            self._log.warning("%s", complaint)
        for complaint in sorted(self.now - complaints):
            self._log.info("no longer so: %s", complaint)
        self.now = complaints
