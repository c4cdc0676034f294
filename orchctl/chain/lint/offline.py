"""L09: reads, which have no answer while SQL is only written down."""

from __future__ import annotations

from collections.abc import Iterator

from orchctl.chain.findings import Finding
from orchctl.chain.lint.subject import Subject

_INSPECTED = "No inspection system is available for object of type MockConnection"
_CLOSED = "AttributeError: 'MockConnection' object has no attribute 'close'"
_SAID = {
    "inspect": f"NoInspectionAvailable: {_INSPECTED}",
    "from_engine": _CLOSED,
    "query": _CLOSED,
    "session": _CLOSED,
    "": "AttributeError: 'NoneType' object has no attribute …",
}


def reads(subject: Subject) -> Iterator[Finding]:
    """L09: the first read in upgrade(), unless the file asks context.is_offline_mode()."""
    if subject.offline:
        return
    for act in subject.upgrade.acts:
        if act.kind == "read":
            said = _SAID.get(act.call.partition(".")[0], _SAID[""])
            yield subject.finding(
                "L09",
                "note",
                act.node,
                "upgrade() reads from the database: with --sql there is none to answer",
                "Only with context.is_offline_mode() false, or as one statement "
                "(UPDATE … FROM, INSERT … SELECT)",
                f"{said}, with --sql; nothing otherwise",
            )
            return
