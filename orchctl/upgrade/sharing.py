"""The guarded connection in the places where SQLAlchemy keeps env.py's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchctl.upgrade.shared_connection import SharedConnection

if TYPE_CHECKING:
    from orchctl.upgrade.file_transaction import FileTransaction


def put_in_place(connection: Any, one: FileTransaction) -> None:
    """Put the guard in front of a SQLAlchemy connection's DBAPI connection.

    Args:
        connection: SQLAlchemy's.
        one: The file that it is to.
    """
    fairy = connection.connection
    # SQLAlchemy keeps the DBAPI connection in two places: the one handed out, and the pool's
    # record, through which it is closed.
    fairy.dbapi_connection = one.guard
    fairy._connection_record.dbapi_connection = one.guard


def share_with(engine: Any, one: FileTransaction) -> Callable[[], None]:
    """Whoever asks env.py's engine for another connection gets ours, until the run is over.

    Args:
        engine: env.py's.
        one: The file that it is to.

    Returns:
        What to call in the end.
    """
    from sqlalchemy import event

    def connect(*_: object) -> SharedConnection | None:
        return SharedConnection(one.guard) if one.guard and one.is_open else None

    def checkin(given_back: Any, record: Any) -> None:
        # A pool would keep it until, with env.py's event loop, the way to a COMMIT is gone.
        if given_back is one.guard and engine.dialect.is_async:
            record.close()
        if isinstance(given_back, SharedConnection):
            given_back.lenient = True

    def checkout(handed_out: Any, *_: object) -> None:
        if isinstance(handed_out, SharedConnection):
            handed_out.lenient = False

    # Before dispose(), which makes another pool: ours is given back to the one of now.
    listeners = (("do_connect", connect), ("checkin", checkin), ("checkout", checkout))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    engine.dispose(close=False)  # connections that wait in the pool are not ours

    def remove() -> None:
        for name, listener in listeners:
            event.remove(engine, name, listener)

    return remove
