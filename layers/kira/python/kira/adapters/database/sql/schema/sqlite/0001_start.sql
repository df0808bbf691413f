-- The first tables. Tenant tables have user_id first in their key; every reference between them is composite.
-- Times are microseconds since 1970 (UTC), ids are UUIDv7 text, flags are 0 or 1.

CREATE TABLE users (
  id TEXT PRIMARY KEY NOT NULL,
  email TEXT UNIQUE,
  name TEXT NOT NULL,
  password_hash TEXT,
  role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
  local INTEGER NOT NULL DEFAULT 0,
  disabled_at BIGINT,
  created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  refresh_hash TEXT NOT NULL,
  spent_hash TEXT,
  device TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  ended_at BIGINT,
  PRIMARY KEY (user_id, id)
);
CREATE UNIQUE INDEX sessions_by_refresh ON sessions (refresh_hash);
CREATE INDEX sessions_by_spent ON sessions (spent_hash) WHERE spent_hash IS NOT NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE invitations (
  id TEXT PRIMARY KEY NOT NULL,
  token_hash TEXT NOT NULL UNIQUE,
  email TEXT,
  created_by TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE settings (
  user_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  model TEXT,
  system_prompt TEXT NOT NULL DEFAULT '',
  theme TEXT NOT NULL DEFAULT 'system' CHECK (theme IN ('system', 'light', 'dark')),
  updated_at BIGINT NOT NULL
);

CREATE TABLE conversations (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  title TEXT NOT NULL,
  titled_by TEXT NOT NULL DEFAULT 'nobody' CHECK (titled_by IN ('nobody', 'words', 'model', 'user')),
  leaf_id TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, id)
);
CREATE INDEX conversations_by_update ON conversations (user_id, updated_at DESC, id DESC);

CREATE TABLE messages (
  user_id TEXT NOT NULL,
  id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  parent_id TEXT,
  role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
  content TEXT NOT NULL,
  search_text TEXT NOT NULL,
  model TEXT,
  run_id TEXT,
  cancelled INTEGER NOT NULL DEFAULT 0,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  idempotency_key TEXT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, id),
  FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE,
  -- Checked at the end of a transaction and not cascading: a cascade goes one level deep for every message below.
  FOREIGN KEY (user_id, parent_id) REFERENCES messages (user_id, id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX messages_by_conversation ON messages (user_id, conversation_id, id);
CREATE INDEX messages_by_parent ON messages (user_id, parent_id);
CREATE UNIQUE INDEX messages_by_key ON messages (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Runs outlive what they were about (usage is counted from them), so they refer to it without a foreign key.
CREATE TABLE runs (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('reply', 'title', 'widget')),
  background INTEGER NOT NULL,
  conversation_id TEXT,
  message_id TEXT,
  answer_id TEXT,
  model TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  reason TEXT,
  error_code TEXT,
  error_message TEXT,
  attempt INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  lease TEXT,
  lease_until BIGINT,
  not_before BIGINT NOT NULL DEFAULT 0,
  cancel_asked INTEGER NOT NULL DEFAULT 0,
  tag BIGINT NOT NULL DEFAULT 0,
  lift BIGINT NOT NULL DEFAULT 0,
  charged BIGINT NOT NULL DEFAULT 0,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  ended_at BIGINT,
  PRIMARY KEY (user_id, id)
);
CREATE INDEX runs_queued ON runs (user_id, background, created_at) WHERE state = 'queued';
CREATE INDEX runs_running ON runs (user_id, lease_until) WHERE state = 'running';
CREATE INDEX runs_by_conversation ON runs (user_id, conversation_id, id);
CREATE INDEX runs_by_tag ON runs (model, tag) WHERE started_at IS NOT NULL;
CREATE INDEX runs_by_end ON runs (user_id, ended_at) WHERE ended_at IS NOT NULL;

-- How much service each user received from each model, in tokens divided by weight. Start-time fair queueing
-- (Goyal et al., 1996) over the tokens of a virtual token counter (Sheng et al., OSDI 2024). Models have slots of
-- their own and so a virtual time of their own: one for all would lift everybody in the busier line to the same tag.
CREATE TABLE shares (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  model TEXT NOT NULL,
  served BIGINT NOT NULL DEFAULT 0,
  typical BIGINT NOT NULL DEFAULT 256,
  weight INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (user_id, model)
);

-- Every waiting run with its start tag: what its user has received or is receiving of its model, lifted to the
-- virtual time (the highest tag that was started, so that it never goes back), then one typical answer per run ahead.
-- Among a user's own runs a background one stands as if it had come a minute later: endless talk cannot starve it.
CREATE VIEW waiting AS
SELECT q.user_id, q.id, q.kind, q.model, q.background, q.conversation_id, q.message_id, q.created_at, q.not_before, q.attempt,
  CASE WHEN q.held + q.served >= v.virtual THEN q.held + q.served ELSE v.virtual END + (q.place - 1) * q.typical AS tag,
  CASE WHEN q.place = 1 AND v.virtual > q.held + q.served THEN v.virtual - q.held - q.served ELSE 0 END AS lift,
  q.typical
FROM (
  SELECT r.user_id, r.id, r.kind, r.model, r.background, r.conversation_id, r.message_id, r.created_at, r.not_before, r.attempt,
    COALESCE(s.served, 0) AS served,
    COALESCE(s.typical, 256) / COALESCE(s.weight, 1) AS typical,
    COALESCE((
      SELECT SUM(h.lift + h.charged) FROM runs h
      WHERE h.user_id = r.user_id AND h.model = r.model AND h.state = 'running'), 0) AS held,
    ROW_NUMBER() OVER (
      PARTITION BY r.user_id, r.model ORDER BY r.created_at + r.background * 60000000, r.created_at, r.id) AS place
  FROM runs r LEFT JOIN shares s ON s.user_id = r.user_id AND s.model = r.model
  WHERE r.state = 'queued'
) q
JOIN (
  SELECT m.model, COALESCE((
      SELECT MAX(g.tag) FROM runs g WHERE g.model = m.model AND g.started_at IS NOT NULL), 0) AS virtual
  FROM (SELECT DISTINCT model FROM runs WHERE state = 'queued') m
) v ON v.model = q.model;

-- Theoretical arrival times of the limiter (GCRA), per user and per key of a guest.
CREATE TABLE limits (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  arrival BIGINT NOT NULL,
  PRIMARY KEY (user_id, name)
);
CREATE TABLE attempts (
  key TEXT PRIMARY KEY NOT NULL,
  arrival BIGINT NOT NULL
);

CREATE TABLE widgets (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  settings TEXT NOT NULL DEFAULT '{}',
  position INTEGER NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  content TEXT,
  refreshed_at BIGINT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, id)
);

-- What was found out about a model server, so that a restart need not find it out again.
CREATE TABLE findings (
  server TEXT NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  slots INTEGER NOT NULL,
  found_at BIGINT NOT NULL,
  PRIMARY KEY (server, model)
);

-- Full text: `owner` holds the user's token, so that a search reads only the postings of that user.
CREATE VIRTUAL TABLE messages_fts USING fts5 (owner, search_text, tokenize = 'unicode61 remove_diacritics 0', content = '');

CREATE TRIGGER messages_indexed AFTER INSERT ON messages BEGIN
  INSERT INTO messages_fts (rowid, owner, search_text)
  VALUES (new.rowid, replace(new.user_id, '-', ''), new.search_text);
END;

CREATE TRIGGER messages_unindexed AFTER DELETE ON messages BEGIN
  INSERT INTO messages_fts (messages_fts, rowid, owner, search_text)
  VALUES ('delete', old.rowid, replace(old.user_id, '-', ''), old.search_text);
END;
