"""The sandbox of a run: what an agent may use of the machine, how it is started, and its limits."""
