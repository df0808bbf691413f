-- Event streams that are open, where each is served by a process of its own.
CREATE TABLE seats (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  PRIMARY KEY (user_id, id)
);
