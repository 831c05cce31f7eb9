"""What `pip install` makes of the repository: one command, and nothing to import (see `camspector.__main__`)."""
