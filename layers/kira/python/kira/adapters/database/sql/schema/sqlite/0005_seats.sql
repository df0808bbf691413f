-- Event streams that are open, where each is served by a process of its own; one that is not kept until then has ended.
CREATE TABLE seats (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (user_id, id)
);
