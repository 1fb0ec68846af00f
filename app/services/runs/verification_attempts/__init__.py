"""The verification of runs: attempts to check what they deliver, and what members ask of them (contract 18)."""
