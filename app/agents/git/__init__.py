"""Git as the worker uses it: fetch, mirrors, patches and push."""
