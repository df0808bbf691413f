-- Event streams that are open, where each is served by a process of its own; one that is not kept until then has ended.
-- since 1
CREATE TABLE seats (
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT COLLATE "C" NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (user_id, id)
);
SELECT protect('seats');
