"""The tools that the worker gives an agent: a server of the Model Context Protocol for one run."""
