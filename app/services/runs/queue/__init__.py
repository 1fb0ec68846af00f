"""The queue of runs: which one a worker claims next, how long it is, and which workers there are."""
