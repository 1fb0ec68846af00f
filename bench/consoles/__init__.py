"""The cost of open consoles for everybody else."""
