"""The HTTP service."""

import model as model  # ends with a clear error on other systems than Linux, before anything else is imported
