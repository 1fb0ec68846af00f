"""The cost of open consoles for other requests to the API."""
