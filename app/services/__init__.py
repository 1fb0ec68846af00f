"""The rules of the service, as functions that take the database session first. They do not know HTTP, and they do not commit."""
