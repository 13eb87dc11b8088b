import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from powerloom.audit.bodies import MAX_PAYLOAD, Circumstances, Record, body_of, capped, copies
from powerloom.audit.chain import GENESIS, Head, Link, link_hash, verify
from powerloom.kernel.canonical import canonical
from powerloom.kernel.refs import Actor, Target

INSTALLATION = UUID(int=7)
CHAIN = UUID(int=1)
OTHER_CHAIN = UUID(int=2)


def chain(length: int, *, of: UUID = CHAIN, saying: str = "", installation: UUID = INSTALLATION) -> list[Link]:
    links: list[Link] = []
    for seq in range(1, length + 1):
        body = canonical(
            {"v": 1, "installation": str(installation), "chain": str(of), "seq": seq, "said": saying}
        ).decode()
        prev = links[-1].hash if links else GENESIS
        links.append(Link(seq, body, prev, link_hash(prev, body)))
    return links


def head(links: list[Link], seq: int, *, of: UUID = CHAIN) -> Head:
    return Head(of, seq, links[seq - 1].hash)


def verdict(links: list[Link], *heads: Head) -> tuple[int | None, str]:
    found = verify(CHAIN, links, installation=INSTALLATION, heads=heads)
    return found.bad_seq, found.reason


def test_an_untouched_chain_is_intact() -> None:
    links = chain(5)
    found = verify(CHAIN, links, installation=INSTALLATION, heads=[head(links, 2), head(links, 4)])
    assert found.is_intact
    assert (found.count, found.last_hash, found.signed) == (5, links[-1].hash, 4)


def test_an_empty_chain_is_intact() -> None:
    assert verify(CHAIN, [], installation=INSTALLATION).is_intact


@pytest.mark.parametrize("at", [1, 3, 5])
def test_an_altered_body_is_named(at: int) -> None:
    links = chain(5)
    links[at - 1] = replace(links[at - 1], body=links[at - 1].body.replace('""', '"x"'))
    assert verdict(links) == (at, "its body was altered")


def test_a_missing_entry_is_named() -> None:
    links = chain(5)
    del links[2]
    assert verdict(links) == (3, "entry 3 is missing (found 4)")


def test_swapped_entries_are_named() -> None:
    links = chain(5)
    links[1], links[2] = replace(links[2], seq=2), replace(links[1], seq=3)
    assert verdict(links) == (2, "it does not follow the entry before it")


@pytest.mark.parametrize("body", ["[]", "nothing", '{"v":2}'])
def test_a_body_that_is_none_is_named_even_with_a_right_hash(body: str) -> None:
    links = [Link(1, body, GENESIS, link_hash(GENESIS, body))]
    assert verdict(links)[0] == 1


@pytest.mark.parametrize(
    "foreign", [chain(3, of=OTHER_CHAIN), chain(3, installation=UUID(int=8))], ids=["chain", "installation"]
)
def test_a_chain_from_elsewhere_is_named_at_its_first_entry(foreign: list[Link]) -> None:
    assert verdict(foreign) == (1, "its body belongs to another chain, installation or format")


def test_a_cut_tail_is_found_against_the_newest_head() -> None:
    links = chain(5)
    bad, reason = verdict(links[:3], head(links, 5))
    assert bad == 4
    assert "entry 5 was signed" in reason


def test_without_a_head_a_cut_tail_cannot_be_seen() -> None:
    assert verify(CHAIN, chain(5)[:3], installation=INSTALLATION).is_intact


def test_a_whole_rewrite_is_placed_between_two_heads() -> None:
    honest, forged = chain(6), chain(6)[:3]
    for link in chain(6, saying="forged")[3:]:
        prev = forged[-1].hash
        forged.append(Link(link.seq, link.body, prev, link_hash(prev, link.body)))
    bad, reason = verdict(forged, head(honest, 2), head(honest, 5))
    assert bad == 3
    assert "entries 3 to 5" in reason


def test_two_different_heads_at_one_place_cannot_both_hold() -> None:
    links = chain(3)
    assert verdict(links, head(links, 2), Head(CHAIN, 2, "f" * 64))[0] == 1 + 2


def test_a_dropped_chain_is_named() -> None:
    bad, reason = verdict([], head(chain(4), 4))
    assert bad == 1
    assert "the whole chain is gone" in reason


def test_verification_goes_on_from_a_known_head() -> None:
    links = chain(5)
    found = verify(CHAIN, links[3:], installation=INSTALLATION, after=head(links, 3))
    assert found.is_intact
    assert found.count == 5


ACTOR = Actor(
    kind="user",
    id=UUID(int=3),
    principal_id=UUID(int=3),
    organization_id=CHAIN,
    ref="user:alice@acme.com",
    request_id="req_1",
    address="127.0.0.1",
)
TARGET = Target("agent", UUID(int=4), "code-reviewer", CHAIN, "/acme/engineering/")
CIRCUMSTANCES = Circumstances(INSTALLATION, CHAIN, datetime(2026, 11, 21, 8, 30, tzinfo=UTC), set_id=UUID(int=5))
GOLDEN = (
    '{"action":"agent:update","actor":{"id":"00000000-0000-0000-0000-000000000003","kind":"user",'
    '"ref":"user:alice@acme.com","token":null},"address":"127.0.0.1","after":{"model":"claude-sonnet-4-6"},'
    '"approval_request_id":null,"asked":null,"at":"2026-11-21T08:30:00.000000+00:00",'
    '"before":{"model":"claude-opus-4-1"},"chain":"00000000-0000-0000-0000-000000000001","command":"UpdateAgent",'
    '"decision":{"because":"own","outcome":"allowed"},"delegated_from_session":null,'
    '"installation":"00000000-0000-0000-0000-000000000007","request_id":"req_1","seq":1,'
    '"set_id":"00000000-0000-0000-0000-000000000005","target":{"id":"00000000-0000-0000-0000-000000000004",'
    '"kind":"agent","name":"code-reviewer","ou_path":"/acme/engineering/"},"v":1}'
)
GOLDEN_HASH = (
    "987cab340220b817014a404310b2a47d52dcd03267caec7dcdfa8f728925e4bf"  # sha256sum of 64 zeros, a newline and the body
)


def golden_body() -> dict[str, object]:
    record = Record(
        "agent:update",
        "UpdateAgent",
        TARGET,
        before={"model": "claude-opus-4-1"},
        after={"model": "claude-sonnet-4-6"},
        decision={"outcome": "allowed", "because": "own"},
    )
    return body_of(record, seq=1, actor=ACTOR, circumstances=CIRCUMSTANCES)


def test_the_bytes_of_an_entry_stay_what_they_are() -> None:
    body = canonical(golden_body()).decode()
    assert body == GOLDEN
    assert link_hash(GENESIS, body) == GOLDEN_HASH


def test_every_search_column_comes_from_the_body() -> None:
    assert copies(golden_body()) == {
        "created_at": "2026-11-21T08:30:00.000000+00:00",
        "actor_id": str(UUID(int=3)),
        "actor_ref": "user:alice@acme.com",
        "action": "agent:update",
        "decision": "allowed",
        "target_kind": "agent",
        "target_id": str(UUID(int=4)),
        "target_name": "code-reviewer",
        "ou_path": "/acme/engineering/",
        "set_id": str(UUID(int=5)),
        "request_id": "req_1",
        "approval_request_id": None,
        "delegated_from_session": None,
    }


def test_a_small_payload_is_kept_as_it_is() -> None:
    assert capped(None) is None
    assert capped({"name": "x" * 2000}) == {"name": "x" * 2000}


def test_a_large_payload_keeps_its_small_fields_and_the_beginning_of_large_ones() -> None:
    found = capped({"name": "reviewer", "system_prompt": "p" * 100_000})
    assert found is not None
    assert found["name"] == "reviewer"
    assert found["system_prompt"]["length"] == 100_000
    assert found["system_prompt"]["begins"] == "p" * 1024


@pytest.mark.parametrize(
    "payload",
    [
        {f"field-{number}": "x" * 1000 for number in range(5000)},
        {"n" * 2000 + str(number): "x" for number in range(200)},
        {"deep": [["y" * 900] * 40] * 40},
        {"text": "\x00" * 60_000},
    ],
)
def test_no_payload_is_larger_than_the_cap(payload: dict[str, object]) -> None:
    found = capped(payload)
    assert found is not None
    assert len(canonical(found)) <= MAX_PAYLOAD


def test_verifying_costs_little_more_than_reading_and_hashing() -> None:
    """At most four times what its bytes cost by themselves."""
    links = chain(10_000, saying="x" * 600)

    def bare() -> None:
        for link in links:
            json.loads(link.body)
            link_hash(link.prev_hash, link.body)

    def whole() -> None:
        assert verify(CHAIN, links, installation=INSTALLATION).is_intact

    assert fastest(whole) <= 4 * fastest(bare)


def fastest(act: Callable[[], None]) -> float:
    """Return the least processor time of three runs: what else the machine does is not in it."""
    times = []
    for _ in range(3):
        before = time.process_time()
        act()
        times.append(time.process_time() - before)
    return min(times)
