"""How the database came to look as it does: the statements of each version, the first at index 0.

A version that was released never changes; what is new is a further one. Old SQLite (3.26) must
understand them. What is true or false is 1 or 0, times are seconds since 1970, lists and mappings
are JSON.
"""

from __future__ import annotations

# "eval" in ASCII: tells this file from another program's.
APPLICATION = 0x6576616C

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        f"PRAGMA application_id = {APPLICATION}",
        # serial orders invocations as they were made, whatever the clock said.
        """
        CREATE TABLE invocations (
            serial INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            backend TEXT NOT NULL,
            compiler TEXT NOT NULL,
            digest TEXT NOT NULL,
            bundle TEXT NOT NULL,
            machine TEXT NOT NULL,
            hostname TEXT,
            username TEXT,
            ssh_key TEXT,
            folder TEXT NOT NULL,
            options TEXT NOT NULL,
            edited INTEGER NOT NULL,
            created REAL NOT NULL,
            submission TEXT NOT NULL,
            owner_pid INTEGER NOT NULL,
            owner_started TEXT NOT NULL,
            owner_boot TEXT NOT NULL,
            owner_namespace TEXT NOT NULL,
            owner_machine TEXT NOT NULL,
            owned REAL NOT NULL
        )
        """,
        """
        CREATE TABLE jobs (
            invocation TEXT NOT NULL,
            number INTEGER NOT NULL,
            id TEXT NOT NULL,
            steps TEXT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            native TEXT NOT NULL DEFAULT '[]',
            attempt INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            began REAL,
            ended REAL,
            node TEXT NOT NULL DEFAULT '',
            done INTEGER,
            total INTEGER,
            seen REAL,
            PRIMARY KEY (invocation, number),
            UNIQUE (invocation, id)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE attempts (
            invocation TEXT NOT NULL,
            job TEXT NOT NULL,
            native TEXT NOT NULL,
            first_seen REAL NOT NULL,
            state TEXT NOT NULL,
            serial INTEGER PRIMARY KEY,
            UNIQUE (invocation, job, native)
        )
        """,
        """
        CREATE TABLE events (
            serial INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            invocation TEXT NOT NULL,
            job TEXT,
            what TEXT NOT NULL,
            text TEXT NOT NULL
        )
        """,
        "CREATE INDEX events_of ON events (invocation)",
    ),
)
