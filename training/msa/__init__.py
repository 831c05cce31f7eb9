"""Attribute agreement study of a model as a measuring system (AIAG, Measurement Systems Analysis, 4th ed., III-C)."""
