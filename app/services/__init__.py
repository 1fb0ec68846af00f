"""The rules of the service, as functions that take the session first. They know no HTTP and commit nothing."""
