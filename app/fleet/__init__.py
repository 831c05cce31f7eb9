"""Versions on their way between stores: from a central one to each station's, and to it."""
