"""What a person looks at before a model goes on a line: one HTML file, and the same figures as JSON."""

from training.report.subject import CurvePoint, DataFacts, LearningCurve, Subject
from training.report.writer import write_report

__all__ = ["CurvePoint", "DataFacts", "LearningCurve", "Subject", "write_report"]
