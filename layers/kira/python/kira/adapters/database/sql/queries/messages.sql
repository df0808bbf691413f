-- page --
-- The newest messages of a conversation, all branches, newest first.
SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.model, m.run_id, m.cancelled, m.prompt_tokens,
  m.completion_tokens, m.created_at
FROM messages m
WHERE m.user_id = :user_id AND m.conversation_id = :conversation_id AND m.id < :before
ORDER BY m.id DESC
LIMIT :items;

-- one --
-- One message.
SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.model, m.run_id, m.cancelled, m.prompt_tokens,
  m.completion_tokens, m.created_at
FROM messages m
WHERE m.user_id = :user_id AND m.id = :message_id;

-- by_key --
-- The message that was sent with this idempotency key, with its run.
SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.model, m.run_id, m.cancelled, m.prompt_tokens,
  m.completion_tokens, m.created_at
FROM messages m
WHERE m.user_id = :user_id AND m.idempotency_key = :idempotency_key;

-- ask --
-- A question at the end of the shown branch; nothing when the key was used before or the conversation is unknown.
INSERT INTO messages (user_id, id, conversation_id, parent_id, role, content, search_text, run_id, idempotency_key,
  created_at)
SELECT :user_id, :message_id, c.id, c.leaf_id, 'user', :content, :search_text, :run_id, :idempotency_key, :now
FROM conversations c
WHERE c.user_id = :user_id AND c.id = :conversation_id
ON CONFLICT DO NOTHING
RETURNING parent_id;

-- ask_first --
-- A question that begins the conversation, or another beginning of it.
INSERT INTO messages (user_id, id, conversation_id, parent_id, role, content, search_text, run_id, idempotency_key,
  created_at)
SELECT :user_id, :message_id, c.id, NULL, 'user', :content, :search_text, :run_id, :idempotency_key, :now
FROM conversations c
WHERE c.user_id = :user_id AND c.id = :conversation_id
ON CONFLICT DO NOTHING
RETURNING parent_id;

-- ask_below --
-- A question below a chosen message of the same conversation.
INSERT INTO messages (user_id, id, conversation_id, parent_id, role, content, search_text, run_id, idempotency_key,
  created_at)
SELECT :user_id, :message_id, p.conversation_id, p.id, 'user', :content, :search_text, :run_id, :idempotency_key, :now
FROM messages p
WHERE p.user_id = :user_id AND p.id = :parent_id AND p.conversation_id = :conversation_id
ON CONFLICT DO NOTHING
RETURNING parent_id;

-- answer --
-- The answer to a question that is still there.
INSERT INTO messages (user_id, id, conversation_id, parent_id, role, content, search_text, model, run_id, cancelled,
  prompt_tokens, completion_tokens, created_at)
SELECT :user_id, :answer_id, q.conversation_id, q.id, 'assistant', :content, :search_text, :model, :run_id, :cancelled,
  :prompt_tokens, :completion_tokens, :now
FROM messages q
WHERE q.user_id = :user_id AND q.id = :message_id;

-- branch --
-- What a run reads: the last messages of its branch, newest first, and the user's system text (depth 0).
WITH RECURSIVE branch AS (
  SELECT m.user_id, m.parent_id, m.role, m.content, m.conversation_id, 1 AS depth
  FROM messages m
  WHERE m.user_id = :user_id AND m.id = :message_id
  UNION ALL
  SELECT p.user_id, p.parent_id, p.role, p.content, p.conversation_id, b.depth + 1
  FROM branch b JOIN messages p ON p.user_id = :user_id AND p.id = b.parent_id
  WHERE b.depth < :items
)
SELECT b.role, b.content, b.depth,
  (SELECT c.titled_by FROM conversations c WHERE c.user_id = :user_id AND c.id = b.conversation_id) AS titled_by
FROM branch b
UNION ALL
SELECT 'system', s.system_prompt, 0, NULL FROM settings s WHERE s.user_id = :user_id AND s.system_prompt <> ''
ORDER BY depth;

-- remove --
-- Delete a message and everything below it.
WITH RECURSIVE below AS (
  SELECT m.id FROM messages m WHERE m.user_id = :user_id AND m.id = :message_id
  UNION ALL
  SELECT c.id FROM below b JOIN messages c ON c.user_id = :user_id AND c.parent_id = b.id
)
DELETE FROM messages WHERE user_id = :user_id AND id IN (SELECT d.id FROM below d);

-- unshow --
-- When the shown branch ended below a removed message, it ends at the message above it.
UPDATE conversations SET leaf_id = :parent_id, updated_at = :now
WHERE user_id = :user_id AND id = :conversation_id AND NOT EXISTS (
  SELECT 1 FROM messages m WHERE m.user_id = :user_id AND m.id = conversations.leaf_id);
