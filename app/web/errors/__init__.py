"""Errors as answers: one mapper, and the single error of a body that does not validate (contract 2.4)."""
