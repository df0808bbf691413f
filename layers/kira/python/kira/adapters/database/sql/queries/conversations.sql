-- page --
-- The newest conversations of the user, each with its active run.
SELECT c.id, c.title, c.created_at, c.updated_at, c.leaf_id,
  (SELECT r.id FROM runs r WHERE r.user_id = :user_id AND r.conversation_id = c.id AND r.kind = 'reply'
    AND r.state IN ('queued', 'running') ORDER BY r.id DESC LIMIT 1) AS run_id
FROM conversations c
WHERE c.user_id = :user_id
ORDER BY c.updated_at DESC, c.id DESC
LIMIT :items;

-- page_before --
-- The conversations that follow the one named by the cursor.
SELECT c.id, c.title, c.created_at, c.updated_at, c.leaf_id,
  (SELECT r.id FROM runs r WHERE r.user_id = :user_id AND r.conversation_id = c.id AND r.kind = 'reply'
    AND r.state IN ('queued', 'running') ORDER BY r.id DESC LIMIT 1) AS run_id
FROM conversations c
WHERE c.user_id = :user_id AND (c.updated_at, c.id) < (
  SELECT b.updated_at, b.id FROM conversations b WHERE b.user_id = :user_id AND b.id = :before)
ORDER BY c.updated_at DESC, c.id DESC
LIMIT :items;

-- one --
-- One conversation with its active run.
SELECT c.id, c.title, c.created_at, c.updated_at, c.leaf_id,
  (SELECT r.id FROM runs r WHERE r.user_id = :user_id AND r.conversation_id = c.id AND r.kind = 'reply'
    AND r.state IN ('queued', 'running') ORDER BY r.id DESC LIMIT 1) AS run_id
FROM conversations c
WHERE c.user_id = :user_id AND c.id = :conversation_id;

-- add --
-- A new, empty conversation.
INSERT INTO conversations (user_id, id, title, titled_by, created_at, updated_at)
VALUES (:user_id, :conversation_id, :title, :titled_by, :now, :now);

-- rename --
-- A title chosen by the user.
UPDATE conversations SET title = :title, titled_by = 'user', updated_at = :now
WHERE user_id = :user_id AND id = :conversation_id;

-- show_branch --
-- The branch that is shown ends at this message of the conversation.
UPDATE conversations SET leaf_id = :leaf_id
WHERE user_id = :user_id AND id = :conversation_id AND EXISTS (
  SELECT 1 FROM messages m
  WHERE m.user_id = :user_id AND m.id = :leaf_id AND m.conversation_id = :conversation_id);

-- remove --
-- Delete a conversation and, by its keys, its messages.
DELETE FROM conversations WHERE user_id = :user_id AND id = :conversation_id;

-- asked --
-- A question was added: it ends the shown branch, and its first words are the title until there is a better one.
UPDATE conversations SET
  leaf_id = :message_id, updated_at = :now,
  title = CASE WHEN titled_by = 'nobody' THEN :words ELSE title END,
  titled_by = CASE WHEN titled_by = 'nobody' THEN 'words' ELSE titled_by END
WHERE user_id = :user_id AND id = :conversation_id;

-- answered --
-- An answer was added: the shown branch goes on to it, unless the user looks at another branch.
UPDATE conversations SET
  leaf_id = CASE WHEN leaf_id = :message_id THEN :answer_id ELSE leaf_id END, updated_at = :now
WHERE user_id = :user_id AND id = :conversation_id;

-- titled --
-- A title made by a model, unless somebody was quicker.
UPDATE conversations SET title = :title, titled_by = 'model'
WHERE user_id = :user_id AND id = :conversation_id AND titled_by = 'words'
RETURNING id;
