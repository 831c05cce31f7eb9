"""Inspection records: what was decided on which part, kept in a database; the only code that knows SQL.

Only with --records: the service without it imports neither SQLAlchemy nor Alembic.
"""
