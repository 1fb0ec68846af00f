"""Questions that agents ask people: how they are stored, their risk, and the check of answers."""
