"""Errors of forms: an agent's form that cannot be shown, and an answer that a form does not accept."""

_SHOWN_CHARACTERS = 300


class FormRefused(Exception):
    """An agent's form cannot be shown to people: it is nested, malformed or too large, or it asks for a secret."""


class AnswerInvalid(Exception):
    """A person's answer does not fit the form. The message names the problem and the field."""

    def __init__(self, what: str, *place: str | int) -> None:
        """Make the error with the problem `what`.

        `place` is the path to the invalid value in the answer. It is empty if the whole answer is invalid.
        """
        self.place = tuple(str(step)[:_SHOWN_CHARACTERS] for step in place)
        self.what = what[:_SHOWN_CHARACTERS]
        super().__init__(f"{'__'.join(self.place)}: {self.what}" if place else self.what)
