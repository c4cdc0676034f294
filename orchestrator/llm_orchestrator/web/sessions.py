"""Who is signed in: a signed cookie, and the token that forms must bring along."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field

SECONDS = 8 * 3600
# A sign-in page may stand open for as long.
VISIT_SECONDS = 3600


@dataclass(frozen=True)
class Session:
    """A reader's session: `id` is random, `expires` in seconds since 1970."""

    id: str
    expires: int


@dataclass
class Sessions:
    """Opens, reads and ends sessions.

    The signing key is made up at start and kept nowhere, so that neither ADMIN_KEY nor its hash is
    enough to make a cookie; everybody signs in again after a restart.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    # Sessions that were signed out before they expired, with the time at which they would have.
    ended: dict[str, int] = field(default_factory=dict)

    def open(self, seconds: int = SECONDS) -> Session:
        """Make up a session that lasts a number of seconds."""
        return Session(secrets.token_urlsafe(18), int(time.time()) + seconds)

    def cookie(self, session: Session, purpose: str) -> str:
        """Return the cookie's value; signed for one purpose, it is worth nothing for another."""
        text = f"{session.id}.{session.expires}"
        return f"{text}.{self._sign(purpose, text)}"

    def read(self, cookie: str | None, purpose: str) -> Session | None:
        """Return the session of a cookie, or None where it is forged, expired or signed out."""
        text, _, signature = (cookie or "").rpartition(".")
        if not _same(signature, self._sign(purpose, text)):
            return None
        id_, _, expires = text.partition(".")
        session = Session(id_, int(expires))
        if session.expires <= time.time() or id_ in self.ended:
            return None
        return session

    def end(self, session: Session) -> None:
        """Have a session's cookie refused from now on."""
        now = time.time()
        self.ended = {id_: at for id_, at in self.ended.items() if at > now}
        self.ended[session.id] = session.expires

    def form_token(self, session: Session) -> str:
        """Return what every form of this session carries."""
        return self._sign("form", session.id)

    def is_form_token(self, session: Session, token: str) -> bool:
        """Whether a form was made for this session."""
        return _same(token, self.form_token(session))

    def seal(self, text: str) -> str:
        """Return a text, signed, as a cookie can hold it."""
        packed = base64.urlsafe_b64encode(text.encode()).decode()
        return f"{packed}.{self._sign('notice', packed)}"

    def unseal(self, sealed: str) -> str | None:
        """Return the text of `seal`, or None where it is not ours."""
        packed, _, signature = sealed.rpartition(".")
        if not _same(signature, self._sign("notice", packed)):
            return None
        return base64.urlsafe_b64decode(packed).decode()

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self.key, _bytes(f"{purpose} {text}"), hashlib.sha256).hexdigest()


def _same(given: str, ours: str) -> bool:
    """Compare in a time that says nothing of how much is alike."""
    return hmac.compare_digest(_bytes(given), _bytes(ours))


def _bytes(text: str) -> bytes:
    # What is sent may hold anything, halves of surrogate pairs among it.
    return text.encode("utf-8", "backslashreplace")
