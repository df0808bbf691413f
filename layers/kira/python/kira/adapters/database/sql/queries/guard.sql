-- session --
-- Whether a session of the user is alive.
SELECT 1 AS alive FROM sessions WHERE user_id = :user_id AND id = :session_id AND ended_at IS NULL AND expires_at > :now;

-- api --
-- The session is alive and the api limit has room: one statement that is exact under concurrency (GCRA).
INSERT INTO limits (user_id, name, arrival)
SELECT :user_id, 'api', :now + :interval
FROM sessions s
WHERE s.user_id = :user_id AND s.id = :session_id AND s.ended_at IS NULL AND s.expires_at > :now
ON CONFLICT (user_id, name) DO UPDATE SET
  arrival = CASE WHEN limits.arrival > :now THEN limits.arrival ELSE :now END + :interval
WHERE limits.arrival <= :now + :tolerance
RETURNING arrival;

-- limit --
-- Take one from a limit of the user, if it has room.
INSERT INTO limits (user_id, name, arrival)
VALUES (:user_id, :name, :now + :interval)
ON CONFLICT (user_id, name) DO UPDATE SET
  arrival = CASE WHEN limits.arrival > :now THEN limits.arrival ELSE :now END + :interval
WHERE limits.arrival <= :now + :tolerance
RETURNING arrival;

-- arrival --
-- How far a limit of the user is taken.
SELECT arrival FROM limits WHERE user_id = :user_id AND name = :name;

-- wrote --
-- Count that the user wrote: a replica that shows this count shows all that was written before it.
INSERT INTO limits (user_id, name, arrival) VALUES (:user_id, 'wrote', 1)
ON CONFLICT (user_id, name) DO UPDATE SET arrival = limits.arrival + 1;
