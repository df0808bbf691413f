-- keep --
-- What the first process wrote of this installation stays.
INSERT INTO marks (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;

-- read --
-- What is known of this installation.
SELECT value FROM marks WHERE name = :name;

-- count --
-- Count one up, so that what was written by then can be told from what comes later.
INSERT INTO marks (name, value) VALUES (:name, '1')
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(marks.value AS BIGINT) + 1 AS TEXT)
RETURNING value;
