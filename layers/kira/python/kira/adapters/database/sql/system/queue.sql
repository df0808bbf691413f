-- receive --
-- Claim the next waiting runs of one model: least served first, background last unless it waited long.
UPDATE runs SET
  state = 'running', attempt = runs.attempt + 1, lease = :lease, lease_until = :until, reason = NULL,
  started_at = COALESCE(runs.started_at, :now), tag = picked.tag, lift = picked.lift, charged = picked.typical
FROM (
  SELECT user_id, id, tag, lift, typical FROM waiting
  WHERE (model = :model OR model || ':latest' = :model) AND not_before <= :now
    AND created_at <= :newest
  ORDER BY CASE WHEN background = 1 AND created_at > :patience THEN 1 ELSE 0 END, tag, created_at, id
  LIMIT :free
) AS picked
WHERE runs.user_id = picked.user_id AND runs.id = picked.id AND runs.state = 'queued'
RETURNING runs.user_id, runs.id, runs.kind, runs.conversation_id, runs.message_id, runs.model, runs.attempt,
  runs.created_at, runs.tag;

-- extend --
-- Renew one lease.
UPDATE runs SET lease_until = :until
WHERE user_id = :owner_id AND id = :run_id AND lease = :lease AND state = 'running';

-- stops --
-- The running runs of one worker whose users asked to cancel them.
SELECT id FROM runs WHERE state = 'running' AND cancel_asked = 1 AND lease LIKE :worker || '/%';

-- give_back --
-- Put a run back in the queue.
UPDATE runs SET
  state = 'queued', lease = NULL, lease_until = NULL, lift = 0, charged = 0, reason = :reason,
  failures = failures + :failed, not_before = :not_before
WHERE user_id = :owner_id AND id = :run_id AND lease = :lease AND state = 'running';

-- places --
-- Every waiting run in the order in which it will be received.
SELECT user_id, id, conversation_id, kind, model, attempt, created_at,
  ROW_NUMBER() OVER (
    ORDER BY CASE WHEN background = 1 AND created_at > :patience THEN 1 ELSE 0 END, tag, created_at, id
  ) AS position
FROM waiting
ORDER BY position;

-- leases --
-- Who holds the running runs, and until when.
SELECT user_id, id, conversation_id, kind, model, attempt, failures, lease, lease_until, cancel_asked
FROM runs WHERE state = 'running';

-- lose --
-- Put back a run whose worker is gone, or end it.
UPDATE runs SET
  state = :state, lease = NULL, lease_until = NULL, lift = 0, charged = 0, failures = failures + 1,
  reason = :reason, error_code = :error_code, error_message = :error_message, ended_at = :ended_at
WHERE user_id = :owner_id AND id = :run_id AND lease = :lease AND state = 'running';

-- models --
-- The models that waiting runs ask for.
SELECT DISTINCT model FROM runs WHERE state = 'queued';

-- fail_model --
-- End the waiting runs of a model that no server has.
UPDATE runs SET state = 'failed', error_code = :error_code, error_message = :error_message, ended_at = :now
WHERE state = 'queued' AND model = :model
RETURNING user_id, id, conversation_id, kind, model, attempt;

-- open --
-- How many runs wait or go.
SELECT COUNT(*) AS runs FROM runs WHERE state IN ('queued', 'running');
