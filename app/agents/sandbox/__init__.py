"""The sandbox of a run: policy, launch and limits."""
