"""What a statement that nobody proved could try, by the dialect of the engine: its text, and the lie of its proof."""

from __future__ import annotations

Attack = tuple[str, list[str], str | None]
"""Text, and the tables and the target that a forged proof names."""

_BOTH: dict[str, Attack] = {
    "read": ("SELECT content FROM messages WHERE user_id <> :user_id", ["messages"], None),
    "read_all": ("SELECT content FROM messages", ["messages"], None),
    "nested": (
        "SELECT (SELECT MAX(content) FROM messages) AS found FROM conversations WHERE user_id = :user_id",
        ["messages", "conversations"],
        None,
    ),
    "other": ("SELECT email FROM users WHERE id = :other", ["users"], None),
    "change": ("UPDATE messages SET content = 'gone' WHERE user_id = :other", ["messages"], "messages"),
    "upsert": (
        "INSERT INTO limits (user_id, name, arrival) VALUES (:other, 'x0', 5) "
        "ON CONFLICT (user_id, name) DO UPDATE SET arrival = 5",
        ["limits"],
        "limits",
    ),
    "delete": ("DELETE FROM conversations WHERE user_id = :other", ["conversations"], "conversations"),
    "hand_over": (
        "UPDATE widgets SET user_id = :other, id = 'given' || id WHERE user_id = :user_id",
        ["widgets"],
        "widgets",
    ),
    "take_over": (
        "UPDATE widgets SET user_id = :user_id, id = 'taken' || id WHERE user_id = :other",
        ["widgets"],
        "widgets",
    ),
    "copy_over": (
        "INSERT INTO widgets (user_id, id, kind, title, position, width, height, created_at) "
        "SELECT :user_id, id || user_id, 'note', content, 1, 1, 1, 1 FROM messages",
        ["messages", "widgets"],
        "widgets",
    ),
}


def _plain(sql: str) -> Attack:
    return sql, [], None


LEAKS: dict[str, dict[str, Attack]] = {
    "sqlite": {
        **_BOTH,
        "index": (
            "SELECT m.content FROM messages_fts f JOIN messages m ON m.rowid = f.rowid WHERE f.messages_fts MATCH "
            ":match",
            ["messages", "messages_fts"],
            None,
        ),
    },
    "postgres": {
        **_BOTH,
        "union": _plain("SELECT content FROM messages UNION ALL SELECT title FROM widgets"),
        "index": _plain("SELECT content FROM messages WHERE words @@ 'zebra'::tsquery"),
        "words": _plain("SELECT word FROM ts_stat('SELECT words FROM messages')"),
        "statistics": _plain("SELECT most_common_vals::text AS found FROM pg_stats WHERE tablename = 'messages'"),
        "sample": _plain("SELECT content FROM messages TABLESAMPLE SYSTEM (100)"),
        "share": _plain("SELECT content FROM messages FOR SHARE"),
        "record": _plain("SELECT row_to_json(messages)::text AS found FROM messages"),
        "tokens": _plain("SELECT device, refresh_hash FROM sessions"),
        "error": _plain("SELECT id FROM messages WHERE content <> 'apple' AND content::bigint = 1"),
        "merge": _plain(
            "MERGE INTO widgets w USING (SELECT 1) one ON w.user_id <> :user_id "
            "WHEN MATCHED THEN UPDATE SET title = 'x'"
        ),
        "using": _plain("DELETE FROM widgets w USING users u WHERE u.id = w.user_id"),
        "returning": _plain("UPDATE runs SET model = model WHERE user_id = :other RETURNING model"),
        "give": _plain(
            "INSERT INTO settings (user_id, system_prompt, updated_at) VALUES (:other, 'x', 1) "
            "ON CONFLICT (user_id) DO UPDATE SET system_prompt = 'x'"
        ),
        "everywhere": _plain("UPDATE settings SET theme = 'dark'"),
    },
}
"""Without the walls behind the proofs these succeed."""

REFUSED: dict[str, dict[str, Attack]] = {
    "sqlite": {
        "second_table": ("SELECT content FROM messages UNION ALL SELECT title FROM widgets", ["widgets"], None),
        "view": ("SELECT model FROM waiting", ["settings"], None),
        "index_itself": ("SELECT COUNT(*) AS found FROM messages_fts_data", ["messages"], None),
        "guests": ("SELECT key FROM attempts", ["limits"], None),
        "parents": ("INSERT INTO widgets SELECT user_id, id, 'note', model, '{}', 1, 1, 1, NULL, NULL, 1 FROM runs",
                    ["widgets"], "widgets"),
        "in_table": (
            "SELECT 1 AS found FROM widgets WHERE title IN (SELECT password_hash FROM users)", ["widgets"], None),
        "write_read": ("UPDATE settings SET theme = 'dark'", ["settings"], None),
        "write_other": ("DELETE FROM runs", ["runs", "messages"], "messages"),
        "schema": ("SELECT sql FROM sqlite_master", ["messages"], None),
        "pragma": _plain("PRAGMA query_only = OFF"),
        "attach": _plain("ATTACH ':memory:' AS other"),
        "detach": _plain("DETACH main"),
        "drop": ("DROP TABLE messages", ["messages"], "messages"),
        "create": _plain("CREATE TABLE stolen (a)"),
        "trigger": ("CREATE TEMP TRIGGER t AFTER INSERT ON messages BEGIN SELECT 1; END", ["messages"], "messages"),
        "begin": _plain("COMMIT"),
        "savepoint": _plain("SAVEPOINT mine"),
        "vacuum": ("REINDEX messages", ["messages"], "messages"),
        "analyze": _plain("ANALYZE"),
        "extension": _plain("SELECT load_extension('x')"),
    },
    "postgres": {
        "guests": _plain("SELECT key FROM attempts"),
        "line": _plain("SELECT user_id FROM waiting"),
        "invitations": _plain("SELECT token_hash FROM invitations"),
        "ledger": _plain("DELETE FROM schema_steps"),
        "truncate": _plain("TRUNCATE messages"),
        "drop": _plain("DROP TABLE messages"),
        "alter": _plain("ALTER TABLE messages DISABLE ROW LEVEL SECURITY"),
        "policy": _plain("DROP POLICY tenant ON messages"),
        "new_policy": _plain("CREATE POLICY mine ON messages USING (true)"),
        "trigger": _plain("CREATE TRIGGER t AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION index_words()"),
        "function": _plain("CREATE FUNCTION leak(a text) RETURNS text LANGUAGE sql AS 'SELECT a'"),
        "view": _plain("CREATE VIEW stolen AS SELECT content FROM messages"),
        "create": _plain("CREATE TABLE stolen (a text)"),
        "create_public": _plain("CREATE TABLE public.stolen (a text)"),
        "temporary": _plain("CREATE TEMPORARY TABLE stolen AS SELECT content FROM messages"),
        "reindex": _plain("REINDEX TABLE messages"),
        "owner": _plain("SET ROLE kira_owner"),
        "search": _plain("SET ROLE kira_search"),
        "superuser": _plain("SET SESSION AUTHORIZATION postgres"),
        "promote": _plain("ALTER ROLE kira_app BYPASSRLS"),
        "join": _plain("GRANT kira_owner TO kira_app"),
        "file": _plain("SELECT pg_read_file('/etc/hostname') AS found"),
        "import": _plain("SELECT lo_import('/etc/hostname') AS found"),
        "program": _plain("COPY (SELECT 1) TO PROGRAM 'cat'"),
        "library": _plain("LOAD 'nothing'"),
        "keys": _plain("SELECT rolpassword FROM pg_authid"),
        "copies": _plain("SELECT stavalues1::text AS found FROM pg_statistic"),
    },
}  # fmt: skip
"""What the engine itself refuses, whatever a proof says."""
