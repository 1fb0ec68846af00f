"""The part of GitHub's REST API that runs need: tokens of App installations, and pull requests."""
