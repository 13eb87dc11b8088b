"""The vocabulary of the rehearsal: the words it knows, by what they mean. Everything else is a name."""

from typing import Literal

Verb = Literal["create", "attach", "credential", "list", "describe", "go_on", "other"]

VERBS: dict[Verb, tuple[str, ...]] = {
    "create": ("create", "set", "setup", "make", "provision", "build", "spin", "need", "want", "stand"),
    "attach": ("attach", "wire", "connect", "add", "give", "grant"),
    "credential": ("mint", "credential"),
    "list": ("what", "which", "list", "show", "inventory", "who", "who's", "what's"),
    "describe": ("describe", "inspect", "status", "details"),
}
VERB_OF = {word: verb for verb, words in VERBS.items() for word in words}

GO_ON = ("go", "continue", "proceed", "yes", "approved", "ok", "okay", "sure")

CUES = {
    "where": ("in", "under", "into", "inside", "within", "on", "at"),
    "for": ("for",),
    "owner": ("owner", "owned", "by"),
    "wants": ("with", "use", "uses", "using", "attach", "wire", "connect", "add", "give", "grant", "mint"),
    "name": ("called", "named", "call", "name"),
    "to": ("to", "onto"),
    "that": ("that", "which", "who"),
    "not": ("not", "without", "except", "instead", "rather"),
}
CUE_OF = {word: cue for cue, words in CUES.items() for word in words}

KINDS = {
    "agents": ("agent", "agents"),
    "servers": ("server", "servers", "mcp", "tool", "tools"),
    "skills": ("skill", "skills"),
    "users": ("user", "users", "people", "who", "members"),
    "ous": ("ou", "ous", "units", "teams", "tree"),
}
KIND_OF = {word: kind for kind, words in KINDS.items() for word in words}

AGENT = ("agent", "assistant", "bot")
UNITS = ("team", "ou", "department", "organization", "org", "unit", "group")
SERVER = ("mcp", "server", "servers", "access", "tool", "tools", "registration")
SKILL = ("skill", "skills")
PLURALS = frozenset({"skills", "servers", "tools"})  # count for everything named beside them
SHARED = PLURALS | {"access"}
IT = ("it", "this", "them", "that")
FILLERS = frozenset(
    {
        *("a", "an", "the", "its", "my", "our", "some", "i", "we", "you", "me", "us", "there", "here"),
        *("should", "is", "be", "are", "do", "does", "can", "could", "would", "please", "also", "both", "up", "one"),
        *("exist", "exists", "already", "have", "has", "new", "scoped", "governed", "simple", "small"),
        *("bearer", "token", "credential"),
    }
)

OCCUPATIONS = {
    "analysis": "analyst",
    "analytics": "analyst",
    "monitoring": "monitor",
    "outreach": "outreach-writer",
    "planning": "planner",
    "prospecting": "prospector",
    "reporting": "reporter",
    "research": "researcher",
    "review": "reviewer",
    "reviewing": "reviewer",
    "reviews": "reviewer",
    "summarizing": "summarizer",
    "testing": "tester",
    "triage": "triager",
    "writing": "writer",
}
"""What somebody is called whose work ends in this word; others are their work with `-agent` behind it."""
