"""The rules of the service, as functions that take the database session first; they know no HTTP.

The caller owns the transaction. They commit only by `release`, before they wait for something outside.
"""
