"""The secrets of a push stay out of logs."""

from app.clients.pushes.push import PushAction
from tests.support.stand_ins.push import push_message


def test_token_is_not_in_the_representation_of_a_message() -> None:
    sent = push_message()
    assert sent.token not in repr(sent)


def test_token_is_not_in_the_representation_of_a_button() -> None:
    action = PushAction("allow", "yes", "Allow", "tba_x", "https://tasks.example/a/tba_x")
    assert "tba_x" not in repr(action)
