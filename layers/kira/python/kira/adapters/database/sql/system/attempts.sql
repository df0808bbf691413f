-- take --
-- Count an attempt of a guest; no row when there were too many.
INSERT INTO attempts AS a (key, arrival)
VALUES (:key, :now + :interval)
ON CONFLICT (key) DO UPDATE SET
  arrival = CASE WHEN a.arrival > :now THEN a.arrival ELSE :now END + :interval
WHERE a.arrival <= :now + :tolerance
RETURNING arrival;

-- read --
-- When the next attempt of a guest is free.
SELECT arrival FROM attempts WHERE key = :key;

-- sweep --
-- Forget attempts that no longer count.
DELETE FROM attempts WHERE arrival <= :now;
