-- publish --
-- What many runs said in a moment; a trigger hints it to those who listen.
INSERT INTO run_events (user_id, run_id, number, conversation_id, run_kind, kind, data, published_at)
SELECT e.user_id, e.run_id, e.number, e.conversation_id, e.run_kind, e.kind, e.data, :now
FROM json_to_recordset(CAST(:events AS json)) AS e (
  user_id text, run_id text, number bigint, conversation_id text, run_kind text, kind text, data text)
ON CONFLICT (user_id, run_id, number) DO NOTHING;

-- read --
-- The events of some users above what is known of each run, from run to run by the key and never through all rows.
WITH RECURSIVE heads (user_id, run_id) AS (
  SELECT u.user_id, (SELECT MIN(e.run_id) FROM run_events e WHERE e.user_id = u.user_id)
  FROM json_array_elements_text(CAST(:users AS json)) AS u (user_id)
  UNION ALL
  SELECT h.user_id, (SELECT MIN(e.run_id) FROM run_events e WHERE e.user_id = h.user_id AND e.run_id > h.run_id)
  FROM heads h
  WHERE h.run_id IS NOT NULL
),
known AS (
  SELECT k.user_id, k.run_id, k.number
  FROM json_to_recordset(CAST(:known AS json)) AS k (user_id text, run_id text, number bigint)
)
SELECT e.user_id, e.run_id, e.number, e.conversation_id, e.run_kind, e.kind, e.data
FROM heads h
LEFT JOIN known k ON k.user_id = h.user_id AND k.run_id = h.run_id
CROSS JOIN LATERAL (
  SELECT s.user_id, s.run_id, s.number, s.conversation_id, s.run_kind, s.kind, s.data
  FROM run_events s
  WHERE s.user_id = h.user_id AND s.run_id = h.run_id AND s.number > COALESCE(k.number, 0)
  OFFSET 0 -- without it the server, which cannot know how few users there are, reads and sorts the whole table
) e
ORDER BY e.user_id, e.run_id, e.number;
