"""Git for the worker: fetch, mirror, submodules and push."""
