-- messages_count --
-- How many messages the user has, to say how far an export is.
SELECT COUNT(*) AS messages FROM messages m WHERE m.user_id = :user_id;

-- conversations --
-- The user's conversations in the order in which they were begun, after the one named by the cursor.
SELECT c.id, c.title, c.created_at, c.updated_at, c.leaf_id
FROM conversations c
WHERE c.user_id = :user_id AND c.id > :after
ORDER BY c.id
LIMIT :items;

-- messages --
-- The messages of a conversation, all branches, oldest first, after the one named by the cursor.
SELECT m.id, m.parent_id, m.role, m.content, m.model, m.cancelled, m.prompt_tokens, m.completion_tokens, m.created_at
FROM messages m
WHERE m.user_id = :user_id AND m.conversation_id = :conversation_id AND m.id > :after
ORDER BY m.id
LIMIT :items;

-- branch --
-- The ids of a branch from its end to its beginning.
WITH RECURSIVE branch AS (
  SELECT m.user_id, m.id, m.parent_id, 1 AS depth
  FROM messages m
  WHERE m.user_id = :user_id AND m.id = :leaf_id
  UNION ALL
  SELECT p.user_id, p.id, p.parent_id, b.depth + 1
  FROM branch b JOIN messages p ON p.user_id = :user_id AND p.id = b.parent_id
)
SELECT b.id FROM branch b ORDER BY b.depth;
