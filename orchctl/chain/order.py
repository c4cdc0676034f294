"""The order in which revisions are applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

Steps = Mapping[str, Sequence[str]]


def newest_first(
    needed: Collection[str], targets: Iterable[str], steps: Steps, file_order: Sequence[str]
) -> list[str]:
    """Sort revisions so that each comes before its parents, the way Alembic does.

    Alembic (`RevisionMap._topological_sort`) walks down one branch as long as nothing that is
    still to come stands above, then turns to the branch that is in the way. It asks for the whole
    set of ancestors of every branch at every turn; here a count of the followers still to come
    answers the same question, since a revision is only ever emitted after all its descendants.

    Args:
        needed: The revisions; with each one, its descendants up to the targets.
        targets: The revisions to start from.
        steps: The parents (and dependencies) of each revision; loops are not allowed.
        file_order: Every revision in the order in which it was loaded.

    Returns:
        All of them; fewer when some cannot be reached from the targets.
    """
    todo = set(needed)
    followers = _followers(todo, steps)
    waiting = {id_: len(followers[id_]) for id_ in todo}
    position = {id_: place for place, id_ in enumerate(file_order)}
    tips = sorted(todo.intersection(targets), key=position.__getitem__)
    seen = set(tips)
    # A branch point is turned away from once for each of its branches: look up from it only once.
    above: dict[str, set[str]] = {}
    order: list[str] = []
    current = 0
    while tips:
        tip = tips[current]
        if waiting[tip]:
            if tip not in above:
                above[tip] = _above(tip, followers, todo)
            blocking = next((place for place, one in enumerate(tips) if one in above[tip]), None)
            if blocking is None:
                return order
            current = blocking
            continue
        order.append(tip)
        todo.discard(tip)
        above.pop(tip, None)
        below = [id_ for id_ in steps[tip] if id_ in followers]
        for id_ in below:
            waiting[id_] -= 1
        fresh = [id_ for id_ in below if id_ not in seen]
        seen.update(fresh)
        if fresh:
            tips[current] = fresh[0]
            tips.extend(fresh[1:])
        else:
            del tips[current]
            current = max(current - 1, 0)
    return order


def _followers(ids: Collection[str], steps: Steps) -> dict[str, list[str]]:
    followers: dict[str, list[str]] = {id_: [] for id_ in ids}
    for id_ in ids:
        for below in steps[id_]:
            if below in followers:
                followers[below].append(id_)
    return followers


def _above(id_: str, followers: Mapping[str, Iterable[str]], todo: Collection[str]) -> set[str]:
    """What stands above a revision and is still to come; nothing of that stands above the rest."""
    above: set[str] = set()
    stack = list(followers[id_])
    while stack:
        other = stack.pop()
        if other in todo and other not in above:
            above.add(other)
            stack.extend(followers[other])
    return above
