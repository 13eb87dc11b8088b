"""Ids and timestamps as CMA writes them."""

import secrets
from datetime import UTC, datetime

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
TAIL = 22


def new_id(prefix: str) -> str:
    """A fresh id such as `agent_01…`: prefix, format digits, random tail."""
    number = secrets.randbits(160)
    letters = []
    for _ in range(TAIL):
        number, place = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[place])
    return f"{prefix}_01{''.join(letters)}"


def now() -> str:
    """This moment, RFC 3339 in UTC with microseconds: fixed width, so text order is time order."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """`moment` in the same form. A moment without a zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
