"""The rules of the service, as functions that take the database session first; they know no HTTP.

They do not commit: the caller owns the transaction.
"""
