-- one --
-- One run.
SELECT r.id, r.kind, r.state, r.conversation_id, r.message_id, r.answer_id, r.model, r.reason, r.error_code,
  r.error_message, r.prompt_tokens, r.completion_tokens, r.attempt, r.created_at, r.started_at, r.ended_at
FROM runs r
WHERE r.user_id = :user_id AND r.id = :run_id;

-- of_conversation --
-- The newest run of each question of a conversation that is active, failed, or was cancelled without an answer.
SELECT r.id, r.kind, r.state, r.conversation_id, r.message_id, r.answer_id, r.model, r.reason, r.error_code,
  r.error_message, r.prompt_tokens, r.completion_tokens, r.attempt, r.created_at, r.started_at, r.ended_at
FROM runs r
WHERE r.user_id = :user_id AND r.conversation_id = :conversation_id AND r.kind = 'reply'
  AND (r.state IN ('queued', 'running', 'failed') OR (r.state = 'cancelled' AND r.answer_id IS NULL))
  AND r.message_id IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM runs n WHERE n.user_id = :user_id AND n.conversation_id = :conversation_id
      AND n.message_id = r.message_id AND n.kind = 'reply' AND n.id > r.id)
ORDER BY r.id DESC
LIMIT :items;

-- active --
-- The runs of the user that are not ended.
SELECT r.id, r.kind, r.state, r.conversation_id, r.message_id, r.model, r.attempt
FROM runs r
WHERE r.user_id = :user_id AND r.state IN ('queued', 'running')
ORDER BY r.id;

-- add --
-- A run about a message of the user, unless too many of theirs wait already.
INSERT INTO runs (user_id, id, kind, background, conversation_id, message_id, model, state, created_at)
SELECT :user_id, :run_id, :kind, :background, m.conversation_id, m.id,
  COALESCE(:model, (SELECT s.model FROM settings s WHERE s.user_id = :user_id), :default_model), 'queued', :now
FROM messages m
WHERE m.user_id = :user_id AND m.id = :message_id AND (
  SELECT COUNT(*) FROM runs w WHERE w.user_id = :user_id AND w.state = 'queued') < :waiting_max
RETURNING model;

-- cancel --
-- End a waiting run, or ask a running one to stop.
UPDATE runs SET
  cancel_asked = 1,
  ended_at = CASE WHEN state = 'queued' THEN :now ELSE NULL END,
  state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
WHERE user_id = :user_id AND id = :run_id AND state IN ('queued', 'running')
RETURNING state;

-- cancel_conversation --
-- Cancel the runs of a conversation that goes away.
UPDATE runs SET
  cancel_asked = 1,
  ended_at = CASE WHEN state = 'queued' THEN :now ELSE NULL END,
  state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
WHERE user_id = :user_id AND conversation_id = :conversation_id AND state IN ('queued', 'running')
RETURNING id, kind, state, attempt;

-- cancel_below --
-- Cancel the runs about a message that goes away and about everything below it.
WITH RECURSIVE below AS (
  SELECT m.id FROM messages m WHERE m.user_id = :user_id AND m.id = :message_id
  UNION ALL
  SELECT c.id FROM below b JOIN messages c ON c.user_id = :user_id AND c.parent_id = b.id
)
UPDATE runs SET
  cancel_asked = 1,
  ended_at = CASE WHEN state = 'queued' THEN :now ELSE NULL END,
  state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
WHERE user_id = :user_id AND conversation_id = :conversation_id AND state IN ('queued', 'running')
  AND message_id IN (SELECT d.id FROM below d)
RETURNING id, kind, state, attempt;

-- forget_conversation --
-- Runs stay for the count of usage, without what they were about.
UPDATE runs SET conversation_id = NULL, message_id = NULL, answer_id = NULL
WHERE user_id = :user_id AND conversation_id = :conversation_id;

-- finish --
-- End a run whose lease is still held; it has no answer when its question is gone.
UPDATE runs SET
  state = :state, answer_id = CASE WHEN EXISTS (
    SELECT 1 FROM messages q WHERE q.user_id = :user_id AND q.id = runs.message_id) THEN :answer_id END, error_code = :error_code, error_message = :error_message,
  prompt_tokens = :prompt_tokens, completion_tokens = :completion_tokens, ended_at = :now, lease = NULL,
  lease_until = NULL, reason = NULL
WHERE user_id = :user_id AND id = :run_id AND lease = :lease AND state = 'running'
RETURNING answer_id;

-- settle --
-- Count the service a run really was, in its model: its lift and its tokens.
INSERT INTO shares (user_id, model, served, typical, weight)
SELECT :user_id, r.model, r.lift + :tokens, :tokens, 1
FROM runs r
WHERE r.user_id = :user_id AND r.id = :run_id
ON CONFLICT (user_id, model) DO UPDATE SET
  served = shares.served + excluded.served, typical = (3 * shares.typical + :tokens) / 4;

-- usage --
-- Runs and tokens by day and model.
SELECT r.model, r.ended_at / 86400000000 AS day_number, COUNT(*) AS runs,
  SUM(COALESCE(r.prompt_tokens, 0)) AS prompt_tokens, SUM(COALESCE(r.completion_tokens, 0)) AS completion_tokens
FROM runs r
WHERE r.user_id = :user_id AND r.ended_at >= :since AND r.state <> 'failed'
GROUP BY day_number, r.model
ORDER BY day_number DESC, r.model;
