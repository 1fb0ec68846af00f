"""Why a form is not shown, or an answer not taken."""

_SHOWN_CHARACTERS = 300


class FormRefused(Exception):
    """A form that is not shown to people: it is no flat form, too large, or asks for a secret."""


class AnswerInvalid(Exception):
    """An answer that a question does not take."""

    def __init__(self, what: str, *place: str | int) -> None:
        """Take the problem, and the way to it in the content, if it is there."""
        self.place = tuple(str(step)[:_SHOWN_CHARACTERS] for step in place)
        self.what = what[:_SHOWN_CHARACTERS]
        super().__init__(f"{'__'.join(self.place)}: {self.what}" if place else self.what)
