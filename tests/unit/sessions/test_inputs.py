"""What is sent next, and whether what is in doubt was sent."""

from datetime import UTC, datetime
from typing import Any

from powerloom.cma.errors import AccountProblem, Unavailable
from powerloom.kernel.ids import new_id
from sessions.relay.backoff import LONGEST, Backoff
from sessions.relay.inputs import Input, due, found

MESSAGE = {"type": "user.message", "content": [{"type": "text", "text": "go"}]}


def one(kind: str, event: dict[str, Any] | None = None) -> Input:
    return Input(new_id(), kind, event or {"type": kind}, datetime.now(UTC))


def test_a_message_waits_for_the_turn_to_end() -> None:
    message = one("message")
    assert due([message], in_turn=True) is None
    assert due([message], in_turn=False) is message


def test_an_interrupt_overtakes_what_waits() -> None:
    first, interrupt = one("message"), one("interrupt")
    assert due([first, interrupt], in_turn=True) is interrupt
    assert due([first, interrupt], in_turn=False) is interrupt


def test_answers_go_in_their_order() -> None:
    first, second = one("confirmation"), one("confirmation")
    assert due([first, second], in_turn=True) is first


def test_an_input_in_doubt_is_found_by_what_it_says() -> None:
    listed = [{"id": "sevt_1", **MESSAGE}, {"id": "sevt_2", **MESSAGE, "processed_at": "now"}]
    doubtful = one("message", MESSAGE)
    assert found(doubtful, listed, set()) == "sevt_1"
    assert found(doubtful, listed, {"sevt_1"}) == "sevt_2"
    assert found(doubtful, listed, {"sevt_1", "sevt_2"}) is None
    assert found(one("message", {**MESSAGE, "content": []}), listed, set()) is None


def test_patience_grows_to_a_minute_and_heeds_the_runtimes_wish() -> None:
    backoff = Backoff()
    waits = [backoff.after(Unavailable("x")) for _ in range(20)]
    assert waits[0] <= 0.1
    assert all(wait <= LONGEST for wait in waits)
    assert waits[-1] >= LONGEST / 2
    assert backoff.after(Unavailable("x", retry_after=300.0)) == 300
    backoff.reset()
    assert backoff.after(Unavailable("x")) <= 0.1
    assert backoff.after(AccountProblem("x")) >= LONGEST / 2
