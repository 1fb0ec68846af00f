"""The log of a run in the object store, and the live events that followers of the run get."""
