"""The log of a run: each entry of its agent, in the object store, and published to those who follow the run."""
