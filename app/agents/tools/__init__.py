"""Tools that the worker offers to the agent of a run, by the Model Context Protocol."""
