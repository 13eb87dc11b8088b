"""The tables of the local runtime.

document   every resource as the JSON CMA would send, with the columns that lists filter and page by
event      what a session said, in order; a queued input has no time yet
turn       where a running session stands in its script, so that a killed server goes on from there
blob       contents of skills and files
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    parent TEXT NOT NULL,
    key TEXT,
    status TEXT,
    archived INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    doc TEXT NOT NULL,
    secret TEXT
);
CREATE INDEX IF NOT EXISTS document_live ON document (kind, archived, seq);
CREATE INDEX IF NOT EXISTS document_all ON document (kind, seq);
CREATE INDEX IF NOT EXISTS document_of_parent ON document (kind, parent, seq);
CREATE UNIQUE INDEX IF NOT EXISTS document_key ON document (kind, parent, key) WHERE archived = 0 AND key IS NOT NULL;
CREATE TABLE IF NOT EXISTS event (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    at TEXT,
    doc TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS event_of_session ON event (session, n);
CREATE INDEX IF NOT EXISTS event_queued ON event (session, n) WHERE at IS NULL;
CREATE TABLE IF NOT EXISTS turn (session TEXT PRIMARY KEY, plan TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS blob (id TEXT PRIMARY KEY, data BLOB NOT NULL);
"""
