"""Questions that agents ask people: how they are stored, how risky they are, and how answers are checked."""
