-- Event streams that are open, where each is served by a process of its own.
-- since 1
CREATE TABLE seats (
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (user_id, id)
);
SELECT protect('seats');
