"""Sessions and sign-in attempts, over time."""

from __future__ import annotations

import pytest

from llm_orchestrator.web.login_attempts import ALLOWED, PLACES, WINDOW_SECONDS, LoginAttempts
from llm_orchestrator.web.sessions import Sessions


def test_a_session_is_read_back_for_its_purpose_alone() -> None:
    sessions = Sessions()
    session = sessions.open()
    cookie = sessions.cookie(session, "session")
    assert sessions.read(cookie, "session") == session
    assert sessions.read(cookie, "visit") is None
    assert Sessions().read(cookie, "session") is None


def test_a_session_expires() -> None:
    sessions = Sessions()
    session = sessions.open(seconds=0)
    assert sessions.read(sessions.cookie(session, "session"), "session") is None


def test_ended_sessions_are_remembered_until_they_would_have_expired() -> None:
    sessions = Sessions()
    short, long = sessions.open(seconds=0), sessions.open()
    sessions.end(short)
    sessions.end(long)
    assert sessions.read(sessions.cookie(long, "session"), "session") is None
    assert list(sessions.ended) == [long.id]


def test_form_tokens_belong_to_a_session() -> None:
    sessions = Sessions()
    one, other = sessions.open(), sessions.open()
    assert sessions.is_form_token(one, sessions.form_token(one))
    assert not sessions.is_form_token(one, sessions.form_token(other))
    assert not sessions.is_form_token(one, "")
    assert not sessions.is_form_token(one, "\N{SNOWMAN}")


@pytest.mark.parametrize("cookie", [None, "", ".", "..", "a.1.", "\udce9.1.\udcff", "a.b.c.d"])
def test_what_is_no_cookie_of_ours(cookie: str | None) -> None:
    assert Sessions().read(cookie, "session") is None


def test_notices_are_sealed() -> None:
    sessions = Sessions()
    sealed = sessions.seal("Größe ist geändert")
    assert sessions.unseal(sealed) == "Größe ist geändert"
    assert sessions.unseal(sealed + "0") is None
    assert Sessions().unseal(sealed) is None
    assert sessions.unseal("\udcff") is None


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def attempts_and_clock() -> tuple[LoginAttempts, Clock]:
    clock = Clock()
    return LoginAttempts(clock=clock), clock


def test_attempts_come_back_as_time_goes_by() -> None:
    attempts, clock = attempts_and_clock()
    left = []
    for _ in range(ALLOWED):
        left.append(attempts.note_failure("192.0.2.1"))
        clock.now += 10
    assert left == [4, 3, 2, 1, 0]
    assert attempts.wait("192.0.2.1") == WINDOW_SECONDS - 10 * ALLOWED
    assert attempts.wait("192.0.2.2") == 0
    clock.now += WINDOW_SECONDS - 10 * ALLOWED - 1
    assert attempts.wait("192.0.2.1") == 1
    clock.now += 1
    assert attempts.wait("192.0.2.1") == 0
    assert attempts.note_failure("192.0.2.1") == 0  # the next four still count


def test_the_right_key_forgives() -> None:
    attempts, _ = attempts_and_clock()
    for _ in range(ALLOWED - 1):
        attempts.note_failure("192.0.2.1")
    attempts.note_success("192.0.2.1")
    assert attempts.note_failure("192.0.2.1") == ALLOWED - 1


def test_one_network_of_ipv6_is_one_place() -> None:
    attempts, _ = attempts_and_clock()
    for number in range(ALLOWED):
        attempts.note_failure(f"2001:db8:0:1::{number}")
    assert attempts.wait("2001:db8:0:1:ffff::1") > 0
    assert attempts.wait("2001:db8:0:2::1") == 0


def test_memory_is_bounded_however_many_ask() -> None:
    attempts, clock = attempts_and_clock()
    for number in range(PLACES + 10):
        attempts.note_failure(f"place {number}")
        clock.now += 0.001
    assert len(attempts.failures) <= PLACES
    assert f"place {PLACES + 9}" in attempts.failures
