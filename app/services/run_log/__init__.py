"""The log of a run in the object store, and the live events that the run's followers receive."""
