-- messages --
-- Messages of the user that match, best first.
SELECT m.id, m.conversation_id, m.role, m.content, m.created_at, c.title
FROM messages_fts f
JOIN messages m ON m.rowid = f.rowid AND m.user_id = :user_id
JOIN conversations c ON c.user_id = :user_id AND c.id = m.conversation_id
WHERE f.messages_fts MATCH :match
ORDER BY m.id DESC
LIMIT :items;
