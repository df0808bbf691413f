-- tell --
-- A worker is here and serves these models.
INSERT INTO workers (id, name, fleet, seen_at) VALUES (:worker_id, :name, :fleet, :now)
ON CONFLICT (id) DO UPDATE SET fleet = excluded.fleet, seen_at = excluded.seen_at;

-- all --
-- The workers that told something lately, those that came first in front.
SELECT id, name, fleet, seen_at FROM workers WHERE seen_at > :since ORDER BY id;

-- leave --
-- A worker has gone; what it served is remembered for a while.
UPDATE workers SET seen_at = :now WHERE id = :worker_id;

-- sweep --
-- Forget workers that went without a word.
DELETE FROM workers WHERE seen_at <= :since;
