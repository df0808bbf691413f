-- publish --
-- What many runs said in a moment.
INSERT INTO run_events (user_id, run_id, number, conversation_id, run_kind, kind, data, published_at)
SELECT json_extract(e.value, '$.user_id'), json_extract(e.value, '$.run_id'), json_extract(e.value, '$.number'),
  json_extract(e.value, '$.conversation_id'), json_extract(e.value, '$.run_kind'), json_extract(e.value, '$.kind'),
  json_extract(e.value, '$.data'), :now
FROM json_each(:events) e
WHERE TRUE
ON CONFLICT (user_id, run_id, number) DO NOTHING;

-- read --
-- The events of some users above what is known of each run; from run to run by the key, never through all rows.
WITH RECURSIVE heads (user_id, run_id) AS (
  SELECT u.value, (SELECT MIN(e.run_id) FROM run_events e WHERE e.user_id = u.value)
  FROM json_each(:users) u
  UNION ALL
  SELECT h.user_id, (SELECT MIN(e.run_id) FROM run_events e WHERE e.user_id = h.user_id AND e.run_id > h.run_id)
  FROM heads h
  WHERE h.run_id IS NOT NULL
),
known (user_id, run_id, number) AS (
  SELECT json_extract(k.value, '$.user_id'), json_extract(k.value, '$.run_id'), json_extract(k.value, '$.number')
  FROM json_each(:known) k
)
SELECT e.user_id, e.run_id, e.number, e.conversation_id, e.run_kind, e.kind, e.data
FROM heads h
LEFT JOIN known k ON k.user_id = h.user_id AND k.run_id = h.run_id
JOIN run_events e ON e.user_id = h.user_id AND e.run_id = h.run_id AND e.number > COALESCE(k.number, 0)
ORDER BY e.user_id, e.run_id, e.number;
