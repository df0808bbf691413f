-- receive --
-- Claim the next waiting runs of one model in fair order, passing over what another worker is just claiming.
WITH ranked AS (
  SELECT user_id, id, tag, lift, typical, ROW_NUMBER() OVER (
    ORDER BY CASE WHEN background = 1 AND created_at > :patience THEN 1 ELSE 0 END, tag, created_at, id) AS standing
  FROM waiting
  WHERE (model = :model OR model || ':latest' = :model) AND not_before <= :now
    AND created_at <= :newest
  ORDER BY standing
  LIMIT :free + 32
), picked AS (
  SELECT k.user_id, k.id, k.tag, k.lift, k.typical
  FROM ranked k JOIN runs q ON q.user_id = k.user_id AND q.id = k.id AND q.state = 'queued'
  ORDER BY k.standing
  LIMIT :free
  FOR UPDATE OF q SKIP LOCKED
)
UPDATE runs SET
  state = 'running', attempt = runs.attempt + 1, lease = :lease, lease_until = :until, reason = NULL,
  started_at = COALESCE(runs.started_at, :now), tag = picked.tag, lift = picked.lift, charged = picked.typical
FROM picked
WHERE runs.user_id = picked.user_id AND runs.id = picked.id AND runs.state = 'queued'
RETURNING runs.user_id, runs.id, runs.kind, runs.conversation_id, runs.message_id, runs.model, runs.attempt,
  runs.created_at, runs.tag;
