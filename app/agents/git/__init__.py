"""Git as the worker uses it: fetch, mirrors, submodules, large files and push."""
