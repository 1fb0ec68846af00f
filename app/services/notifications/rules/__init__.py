"""The rules of notices: the facts, the decisions, and the settling of notices by presence."""
