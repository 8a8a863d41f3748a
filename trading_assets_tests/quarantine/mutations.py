"""Mutations of answers, from a seed: one value, one field or one row of one answer becomes something else."""

from __future__ import annotations

import random
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, "", "text", "1,234.5", "é\u2028", "\ud800", "x" * 100_000, "²", "20240230", "NaN"),
    *(
        0,
        -1,
        -2,
        -5.5,
        1e13,
        1.7976931348623157e308,
        10**31,
        -(10**31),
        3.25,
        float("nan"),
        float("inf"),
        True,
        [],
        {},
        [1, 2],
    ),
)
"""What a value becomes: unset, empty, text, impossible, of another kind."""

KINDS = ("value", "value", "value", "value", "drop", "double", "doubled_otherwise", "swap", "shuffle", "whole")


def mutated(payload: Any, chance: random.Random) -> tuple[Any, str]:
    """The payload (changed in place where it can be) and a word on what was done to it."""
    kind = chance.choice(KINDS)
    if kind == "whole":
        value = chance.choice((None, [], {}, "text", 7, {"bars": None}, {"contracts": "text"}, {"parameters": [None]}))
        return (value if value is not None else []), f"the whole answer is {value!r}"
    containers = list(_containers(payload))
    place = chance.choice([container for container in containers if container]) if any(containers) else payload
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    key = chance.choice(keys)
    if kind == "drop":
        del place[key]
    elif kind == "swap" and len(keys) > 1:
        other = chance.choice([k for k in keys if k != key])
        place[key], place[other] = place[other], place[key]
        return payload, f"swap of {key} and {other}"
    elif kind in ("double", "doubled_otherwise") and isinstance(place, list):
        again = place[key] if kind == "double" else mutated_copy(place[key], chance)
        place.insert(chance.randrange(len(place) + 1), again)
    elif kind == "shuffle" and isinstance(place, list):
        chance.shuffle(place)
    else:
        kind = "value"
        place[key] = chance.choice(VALUES)
        return payload, f"{key} is {ascii(place[key])[:40]}"
    return payload, f"{kind} of {key}"


def mutated_copy(value: Any, chance: random.Random) -> Any:
    """A row like another, with one value changed."""
    if isinstance(value, dict) and value:
        return {**value, chance.choice(list(value)): chance.choice(VALUES)}
    if isinstance(value, list) and value:
        position = chance.randrange(len(value))
        return [*value[:position], chance.choice(VALUES), *value[position + 1 :]]
    return chance.choice(VALUES)


def _containers(value: Any) -> list[Any]:
    """Every dict and list inside a payload; rows often, the payload itself once."""
    found = [value] if isinstance(value, dict | list) else []
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found += _containers(inner)
    return found
