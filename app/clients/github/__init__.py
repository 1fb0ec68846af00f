"""GitHub's REST API, the part that runs need: tokens of App installations, and pull requests."""
