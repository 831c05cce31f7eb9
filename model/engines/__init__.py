"""Engines run the network; everything after the evidence map is the same code for all of them."""
