"""From a sentence to what it asks for. Pure; a sentence that says nothing we know is `other`, never a guess.

A text is cut into phrases, each begun by a cue (`in`, `for`, `with`, `called` …), and each phrase fills one slot. Names
are kept as they were written: what they name is looked up in the organization, not here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any  # Any: fields by name

from powerloom.cma.local.rehearsal import words
from powerloom.cma.local.rehearsal.words import Verb

Phrase = tuple[str, list[str]]

TOKEN = re.compile(r"[,;?!]|[^\s,;?!\"“”()]+")
STOPS = frozenset({".", "?", "!", ";"})
SEPARATORS = frozenset({",", "and", "plus", "&"})
SHORT_ANSWER = 6
LONGEST_NAME = 57  # and `-agent` behind it is still a name


@dataclass(frozen=True)
class Want:
    """A tool or a skill that somebody named; `kind` is `server` or `skill` where it was said."""

    word: str
    kind: str = ""


@dataclass(frozen=True)
class Request:
    """What a message asks for. Empty means that it does not say.

    `beneficiary` is who or what stands behind `for`: an OU, a person or a purpose, which only the organization's
    directory can tell.
    """

    verb: Verb
    purpose: str = ""
    name: str = ""
    owner: str = ""
    where: str = ""
    beneficiary: str = ""
    agent: str = ""
    model: str = ""
    wants: tuple[Want, ...] = ()
    kinds: tuple[str, ...] = ()


def understand(text: str) -> Request:
    """Return what the text asks for."""
    tokens = _tokens(text)
    verb = _verb(tokens)
    if verb in {"other", "go_on"}:
        return Request(verb)
    phrases = _phrases(tokens)
    known = _everywhere(tokens)
    for cue, said in phrases:
        known = _filled(known, verb, cue, said)
    return _settled(replace(known, verb=verb), phrases)


def folded(asked: Request, text: str, slot: str) -> Request | None:
    """Return the open request with what the answer adds, or None when the text asks for something else. A bare answer
    (`/acme/sales`) fills the slot that was asked for.
    """
    tokens = _tokens(text)
    verb = _verb(tokens)
    is_about_it = any(token.lower() in words.IT for token in tokens)
    if verb not in {"other", "go_on"} and not (verb == asked.verb and is_about_it):
        return None
    if verb == "go_on":
        tokens = tokens[2 if [token.lower() for token in tokens[1:2]] in (["on"], ["ahead"]) else 1 :]
    more = _everywhere(tokens)
    for cue, said in _phrases(tokens):
        more = _filled(more, asked.verb, cue, said)
    bare = _names(tokens)
    if more == Request("other") and slot and 0 < len(bare) <= SHORT_ANSWER:
        more = _filled(more, asked.verb, slot, bare)
    wants = tuple(dict.fromkeys((*asked.wants, *more.wants)))
    fields = ("where", "owner", "name", "model", "beneficiary", "agent")
    return replace(asked, wants=wants, **{field: getattr(more, field) for field in fields if getattr(more, field)})


def name_of(purpose: str) -> str:
    """Return what an agent of this purpose is called: the work's last word as an occupation where we know one."""
    slug = re.sub(r"[^a-z0-9]+", "-", purpose.lower()).strip("-")[:LONGEST_NAME]
    head, _, last = slug.rpartition("-")
    occupation = words.OCCUPATIONS.get(last, f"{last}-agent")
    return "-".join(part for part in (head, occupation) if part)


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    for token in TOKEN.findall(text):
        name = token.rstrip(".:")
        found += [name] if name else []
        found += ["."] if token.endswith(".") else []
    return found


def _verb(tokens: list[str]) -> Verb:
    lower = [token.lower() for token in tokens]
    if lower and lower[0] in words.GO_ON and len(lower) <= SHORT_ANSWER:
        return "go_on"
    verbs = [words.VERB_OF[token] for token in lower if token in words.VERB_OF]
    verb: Verb = verbs[0] if verbs else "other"
    is_new_agent = any(before in {"a", "an"} for before, _ in _before_agent(lower))
    if verb == "attach" and lower[0] in {"give", "grant"} and is_new_agent:
        return "create"
    if verb == "list" and lower[0].startswith("who") and any("@" in token for token in lower):
        return "describe"
    return verb


def _before_agent(lower: list[str]) -> list[tuple[str, str]]:
    """Return the article, if any, of each `agent` in the text."""
    places = [place for place, token in enumerate(lower) if token in words.AGENT]
    return [
        (token, lower[place])
        for place in places
        for token in lower[max(0, place - 4) : place]
        if token in {"a", "an", "the"}
    ]


def _phrases(tokens: list[str]) -> list[Phrase]:
    """Return the text as phrases, each with the cue that begins it; the first has none."""
    phrases: list[Phrase] = [("", [])]
    before = ""
    for word in tokens:
        lower = word.lower()
        cue = words.CUE_OF.get(lower)
        if lower == "to" and before == "access":
            cue = "wants"
        if word in STOPS or (word == "," and phrases[-1][0] != "wants"):
            phrases.append(("", []))
        elif cue is not None and not (cue == "that" and not phrases[-1][1]):
            phrases.append(("give" if lower in {"give", "grant"} else cue, []))
        else:
            phrases[-1][1].append(word)
        before = lower
    return [phrase for phrase in phrases if phrase[1]]


def _everywhere(tokens: list[str]) -> Request:
    """Return what is known by its looks, wherever it stands: a path, an address, a model."""
    paths = [token for token in tokens if token.startswith("/") and len(token) > 1]
    emails = [token for token in tokens if "@" in token.strip("@")]
    models = [token.lower() for token in tokens if token.lower().startswith("claude-")]
    where = "" if _is_refused(tokens, paths) else paths[0].rstrip("/")
    return Request("other", where=where, owner=next(iter(emails), ""), model=next(iter(models), ""))


def _is_refused(tokens: list[str], paths: list[str]) -> bool:
    return not paths or "not" in tokens[max(0, tokens.index(paths[0]) - 2) : tokens.index(paths[0])]


def _filled(known: Request, verb: str, cue: str, said: list[str]) -> Request:
    """Return the request with what one phrase says; a slot that is filled stays as it is."""
    names = _names(said)
    text = " ".join(names)
    is_unit = any(name.lower() in words.UNITS for name in names)
    is_plain = bool(names) and not any("@" in name or name.startswith("/") for name in names)
    more: dict[str, Any] = {}
    match cue:
        case "for" if verb == "credential" and is_plain and not known.agent:
            more = {"agent": text}
        case "where" | "for" if verb == "credential" and is_plain:
            more = {"wants": _wants(said)}
        case "where" | "for" if not known.where and (cue == "where" or is_unit):
            more = {"where": _unit(names)}
        case "for" if is_plain and not known.beneficiary:
            more = {"beneficiary": text}
        case "owner" if not known.owner:
            more = {"owner": text}
        case "name":
            more = {"name": next((name for name in names if name.lower() not in words.IT), "")}
        case "to" if verb in {"attach", "credential", "describe"}:
            more = {"agent": _agent(names)}
        case "wants":
            more = {"wants": _wants(said)}
        case "give" if verb == "attach" and said:
            rest = [one for one in said if one.lower() not in {"the", "agent"}]
            more = {"agent": rest[0] if rest else "", "wants": _wants(rest[1:])}
    return replace(known, **more | {"wants": (*known.wants, *more.get("wants", ()))})


def _settled(known: Request, phrases: list[Phrase]) -> Request:
    """Return the request with what only the whole sentence tells."""
    plain = [said for cue, said in phrases if not cue]
    match known.verb:
        case "create":
            return replace(known, purpose=_purpose(phrases))
        case "list":
            kinds = (words.KIND_OF.get(token.lower(), "") for said in plain for token in said)
            return replace(known, kinds=tuple(dict.fromkeys(kind for kind in kinds if kind)))
        case "describe":
            return replace(known, agent=_agent([token for said in plain for token in _names(said)]))
    return known


def _purpose(phrases: list[Phrase]) -> str:
    """Return the words before `agent`, else those after `that` or `to`."""
    for cue, said in phrases:
        lower = [token.lower() for token in said]
        place = next((place for place, token in enumerate(lower) if token in words.AGENT), None)
        if cue in {"", "give", "that"} and place is not None:
            before = [token for token in _names(said[:place]) if token.lower() not in words.VERB_OF]
            before = [token for token in before if not (cue == "give" and token[:1].isupper())]
            if before:
                return " ".join(before)
    after = [" ".join(_names(said)) for cue, said in phrases if cue in {"that", "to"}]
    return next((text for text in after if text), "")


def _names(said: list[str]) -> list[str]:
    return [token for token in said if token.lower() not in words.FILLERS and token not in {",", *STOPS}]


def _unit(names: list[str]) -> str:
    return " ".join(name for name in names if name.lower() not in words.UNITS).lower()


def _agent(names: list[str]) -> str:
    rest = [name for name in names if name.lower() not in (*words.AGENT, *words.VERB_OF, "of") and "@" not in name]
    return rest[0] if rest else ""


def _wants(said: list[str]) -> list[Want]:
    """Return the things named: `Apollo and Gmail access` are two servers, the noun behind the last counts for both."""
    items: list[list[str]] = [[]]
    for token in said:
        if token.lower() in SEPARATORS:
            items.append([])
        else:
            items[-1].append(token)
    wants: list[Want] = []
    leading = next((token.lower() for token in said if token.lower() not in words.FILLERS), "")
    shared = words.KIND_OF[leading].removesuffix("s") if leading in words.PLURALS else ""
    for item in reversed(items):
        nouns = {token.lower() for token in item}
        kind = "skill" if nouns & set(words.SKILL) else "server" if nouns & set(words.SERVER) else shared
        shared = kind if nouns & words.SHARED else shared if not kind or kind == shared else ""
        names = [name for name in _names(item) if name.lower() not in (*words.SKILL, *words.SERVER, *words.IT)]
        if names:
            wants.insert(0, Want("-".join(names).lower(), kind))
    return wants
