-- messages --
-- Messages of the user that match, newest first; the function stays within the user of the transaction by itself.
SELECT f.id, f.conversation_id, f.role, f.content, f.created_at, f.title
FROM messages_found(:match, :items) f;
