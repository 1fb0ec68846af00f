"""Git as the worker uses it: fetch, mirrors and push."""
