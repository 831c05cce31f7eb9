"""Warnings that hold for a while: logged once, not at every poll."""

import logging


class LogOnce:
    """Logs each message when it begins to hold, and when it has been resolved."""

    def __init__(self, log: logging.Logger) -> None:
        self.current: set[str] = set()
        self._log = log

    def update(self, messages: set[str]) -> None:
        """`messages`: all that hold now."""
        for message in sorted(messages - self.current):
            self._log.warning("%s", message)
        for message in sorted(self.current - messages):
            self._log.info("resolved: %s", message)
        self.current = messages
