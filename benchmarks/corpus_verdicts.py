"""What looking at the findings in docs/corpus.md came to, rule by rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What became of a rule's findings.

    Attributes:
        findings: How many were looked at. Others than these show on the page, and fail its test.
        tried: How many of them a trial confirmed; None where no trial says anything.
        text: How they were looked at, and what came of it.
    """

    findings: int
    tried: int | None
    text: str


VERDICTS = {
    "C04": Verdict(
        4,
        None,
        "Right: each chain has branches that are never joined, and `alembic upgrade head` fails "
        "on it. They are meant, with a label each, so it is a warning.",
    ),
    "C05": Verdict(1, None, "Right, and a note: each base carries a label, so they are meant."),
    "C08": Verdict(
        4,
        None,
        "Right: the labels are attributes of another module of the project; only importing it "
        "would tell them. A warning.",
    ),
    "C12": Verdict(
        153,
        153,
        "Right: each was compared to the code by a second program that knows nothing of orchctl "
        "and evaluates the assignments. Most are revisions that were put behind another parent "
        "later on.",
    ),
    "C17": Verdict(
        412,
        412,
        "Right: compared in the same way. These are revisions that were put behind a later one, "
        "or dates typed by hand. A note, because it changes nothing.",
    ),
    "L01": Verdict(
        138,
        127,
        "Right: the statement or block was reached in the trial, or stands there to be read "
        "(blocks that only another revision's leavings lead to). One was wrong: the BEGIN of "
        "a PostgreSQL `DO $$ … $$` block.",
    ),
    "L02": Verdict(
        655,
        571,
        "Right: the drop was carried out in the trial, of that table or column, and nothing "
        "in the same upgrade had made it. The rest is behind a question to the database, or "
        "after data that an empty database lacks, and was read. Wrong were: columns whose "
        "name another column takes afterwards, and columns of tables that "
        "`create_all(tables=…)` had just made.",
    ),
    "L03": Verdict(
        85,
        81,
        "Right: the column alone, added to a table with a row, failed with the words the "
        "finding gives. Wrong were: tables emptied just before, where a foreign context "
        "manager or a rename came in between.",
    ),
    "L04": Verdict(
        3,
        1,
        "Right, in the same way.",
    ),
    "L05": Verdict(
        233,
        211,
        "Right: at that moment the database held the foreign keys that the finding names, and "
        "Alembic did rebuild the table. The rest was read along the chain: links made by "
        "statements that only another database carries out, and tables that a stand-in kept "
        "from being made. Wrong were three about links dropped before by a name that is "
        "looked up; such links count as gone now.",
    ),
    "L06": Verdict(
        18,
        18,
        'Right: each failed alone with "Constraint must have a name". It is a warning, and '
        "says so, because a naming convention in env.py, which lies outside of these folders, "
        "gives one: one of the projects has it. Wrong were two drops inside a `try` that "
        "expects just that failure.",
    ),
    "L07": Verdict(
        694,
        685,
        "Right: `downgrade` is missing, was run and did nothing, or left the table or column "
        "there. Two of the columns left behind are faults of their projects: a downgrade that "
        "drops a column of another name. Wrong were: functions read no further because one "
        "called itself, `Base.metadata.drop_all()`, indexes made by SQL.",
    ),
    "L08": Verdict(
        58,
        None,
        "All read. Wrong were: enumerations' constants, `dict.get()`, a session that is only "
        "closed, and frozen copies beside the revisions.",
    ),
    "L09": Verdict(
        291,
        269,
        "Right: the upgrade failed with `--sql` for want of an answer; the rest was read, "
        "being kept from there by a stand-in. Wrong were: reads inside of `if not "
        "context.as_sql`, behind `if rows:`, and in an `except` that only a failure leads to.",
    ),
    "L10": Verdict(
        1401,
        1281,
        "Right: the operation alone failed in the words the finding gives; for what SQLite "
        "3.53 learnt, on an older one. The rest is of the same forms, behind questions to the "
        "database, and was read; of raw SQL each form was tried on a table.",
    ),
    "L11": Verdict(
        41,
        None,
        "All read. Wrong were: a handler that does it in another way, and one that keeps the "
        "failures and raises them in the end.",
    ),
    "L12": Verdict(
        104,
        100,
        "Right: the statement was sent in the trial, or stands behind a question to the database.",
    ),
}
