-- What runs said a moment ago, for readers in other processes. It may be lost: the truth is in `runs` and `messages`.
-- Hence no reference to `users`, which would cost every row a look-up; old rows are deleted by whoever speaks or reads.

CREATE TABLE run_events (
  user_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  conversation_id TEXT,
  run_kind TEXT NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL,
  published_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, run_id, number)
);
CREATE INDEX run_events_by_time ON run_events (published_at);
