-- The first tables, as on SQLite; the roles that the grants name are made before (roles.sql).
-- Tenant tables have user_id first in their key; every reference between them is composite.
-- Times are microseconds since 1970 (UTC), ids are UUIDv7 text, flags are 0 or 1. Text is compared byte by byte
-- (COLLATE "C"), so that order and cursors are the same on every server, whatever its language.

-- Who a transaction belongs to. Loud where nobody was named: a forgotten identity is a defect, not an empty page.
-- Only what raises is a call; the rest is woven into each statement, which costs a fraction of one.
CREATE FUNCTION nobody_named() RETURNS TEXT LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RAISE EXCEPTION 'no user is named' USING ERRCODE = '42501';
END $$;
CREATE FUNCTION user_id() RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
  WHEN current_setting('kira.user_id', true) <> '' THEN current_setting('kira.user_id', true) ELSE nobody_named()
END;

-- Begin as one user, for this transaction only: it survives a pooler, and the next transaction knows nothing of it.
-- Who writes waits for the other writers of the same user, so that counts which bound a user are exact.
CREATE FUNCTION begin_as(named TEXT, writes BOOLEAN) RETURNS VOID LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM set_config('kira.user_id', named, true);
  IF writes THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(named, 0));
  END IF;
END $$;

-- Begin across users: the narrow role, for this transaction only. `alone` waits for others that read, decide and write.
CREATE FUNCTION begin_across(alone BOOLEAN) RETURNS VOID LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM set_config('role', 'kira_worker', true);
  IF alone THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('kira system', 0));
  END IF;
END $$;

-- Undo everything when a statement that had to give a row gave none; the client need not look in between.
CREATE FUNCTION must(amount BIGINT, statement TEXT) RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF amount = 0 THEN
    RAISE EXCEPTION '%', statement USING ERRCODE = 'KR404';
  END IF;
  RETURN true;
END $$;

-- Put a table of users behind row security, also against its owner, and open it to the tenant way for own rows only.
CREATE FUNCTION protect(named REGCLASS, owner_column TEXT DEFAULT 'user_id') RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', named);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', named);
  EXECUTE format('CREATE POLICY tenant ON %s TO kira_app USING (%I = (SELECT user_id())) '
    'WITH CHECK (%I = (SELECT user_id()))', named, owner_column, owner_column);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO kira_app', named);
END $$;

-- Open a table of users to the way across users, for what is named.
CREATE FUNCTION open_across(named REGCLASS, rights TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE POLICY across ON %s TO kira_worker USING (true) WITH CHECK (true)', named);
  EXECUTE format('GRANT %s ON %s TO kira_worker', rights, named);
END $$;

CREATE TABLE users (
  id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
  email TEXT COLLATE "C" UNIQUE,
  name TEXT COLLATE "C" NOT NULL,
  password_hash TEXT COLLATE "C",
  role TEXT COLLATE "C" NOT NULL CHECK (role IN ('user', 'admin')),
  local INTEGER NOT NULL DEFAULT 0,
  disabled_at BIGINT,
  created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX users_local ON users (local) WHERE local = 1;

CREATE TABLE sessions (
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT COLLATE "C" NOT NULL,
  refresh_hash TEXT COLLATE "C" NOT NULL,
  spent_hash TEXT COLLATE "C",
  device TEXT COLLATE "C" NOT NULL,
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
  id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
  token_hash TEXT COLLATE "C" NOT NULL UNIQUE,
  email TEXT COLLATE "C",
  created_by TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE settings (
  user_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  model TEXT COLLATE "C",
  system_prompt TEXT COLLATE "C" NOT NULL DEFAULT '',
  theme TEXT COLLATE "C" NOT NULL DEFAULT 'system' CHECK (theme IN ('system', 'light', 'dark')),
  updated_at BIGINT NOT NULL
);

CREATE TABLE conversations (
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT COLLATE "C" NOT NULL,
  title TEXT COLLATE "C" NOT NULL,
  titled_by TEXT COLLATE "C" NOT NULL DEFAULT 'nobody' CHECK (titled_by IN ('nobody', 'words', 'model', 'user')),
  leaf_id TEXT COLLATE "C",
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, id)
);
CREATE INDEX conversations_by_update ON conversations (user_id, updated_at DESC, id DESC);

CREATE TABLE messages (
  user_id TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  conversation_id TEXT COLLATE "C" NOT NULL,
  parent_id TEXT COLLATE "C",
  role TEXT COLLATE "C" NOT NULL CHECK (role IN ('user', 'assistant')),
  content TEXT COLLATE "C" NOT NULL,
  search_text TEXT COLLATE "C" NOT NULL,
  words TSVECTOR,
  model TEXT COLLATE "C",
  run_id TEXT COLLATE "C",
  cancelled INTEGER NOT NULL DEFAULT 0,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  idempotency_key TEXT COLLATE "C",
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
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('reply', 'title', 'widget')),
  background INTEGER NOT NULL,
  conversation_id TEXT COLLATE "C",
  message_id TEXT COLLATE "C",
  answer_id TEXT COLLATE "C",
  model TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  reason TEXT COLLATE "C",
  error_code TEXT COLLATE "C",
  error_message TEXT COLLATE "C",
  attempt INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  lease TEXT COLLATE "C",
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
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  model TEXT COLLATE "C" NOT NULL,
  served BIGINT NOT NULL DEFAULT 0,
  typical BIGINT NOT NULL DEFAULT 256,
  weight INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (user_id, model)
);

-- Every waiting run with its start tag: what its user has received or is receiving of its model, lifted to the
-- virtual time (the highest tag that was started, so that it never goes back), then one typical answer per run ahead.
-- Among a user's own runs a background one stands as if it had come a minute later: endless talk cannot starve it.
CREATE VIEW waiting WITH (security_invoker = true) AS
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
      WHERE h.user_id = r.user_id AND h.model = r.model AND h.state = 'running'), 0)::BIGINT AS held,
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
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT COLLATE "C" NOT NULL,
  arrival BIGINT NOT NULL,
  PRIMARY KEY (user_id, name)
);
CREATE TABLE attempts (
  key TEXT COLLATE "C" PRIMARY KEY NOT NULL,
  arrival BIGINT NOT NULL
);

CREATE TABLE widgets (
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  title TEXT COLLATE "C" NOT NULL,
  settings TEXT COLLATE "C" NOT NULL DEFAULT '{}',
  position INTEGER NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  content TEXT COLLATE "C",
  refreshed_at BIGINT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, id)
);

-- What was found out about a model server, so that a restart need not find it out again.
CREATE TABLE findings (
  server TEXT COLLATE "C" NOT NULL,
  model TEXT COLLATE "C" NOT NULL,
  version TEXT COLLATE "C" NOT NULL,
  slots INTEGER NOT NULL,
  found_at BIGINT NOT NULL,
  PRIMARY KEY (server, model)
);

-- What runs said a moment ago, for readers on other instances; the truth is in `runs` and `messages`, so it is not
-- logged and may be lost with the server. No reference to `users`, which would cost every row a look-up.
CREATE UNLOGGED TABLE run_events (
  user_id TEXT COLLATE "C" NOT NULL,
  run_id TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  conversation_id TEXT COLLATE "C",
  run_kind TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  data TEXT COLLATE "C" NOT NULL,
  published_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, run_id, number)
);
CREATE INDEX run_events_by_time ON run_events (published_at);

-- Workers, with what each serves; a row that is not fresh is of one that is gone.
CREATE TABLE workers (
  id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  fleet TEXT COLLATE "C" NOT NULL,
  seen_at BIGINT NOT NULL
);

-- What holds for the whole installation, such as a fingerprint of its master key.
CREATE TABLE marks (
  name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
  value TEXT COLLATE "C" NOT NULL
);

-- Full text: words and places of each message, made from the same normalised text as on SQLite. `owner` as a word of
-- its own keeps a search within the postings of one user; its mark is in no word of a text, so that no search finds it.
-- PostgreSQL indexes 2 kB of a word, which is more than anybody may search for.
CREATE FUNCTION owner_word(owner TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '''@' || replace(owner, '''', '') || '''';
CREATE FUNCTION words_of(owner TEXT, search_text TEXT) RETURNS TSVECTOR LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN (
    SELECT COALESCE(string_agg(left(word, 510) || ':' || LEAST(place, 16383), ' '), '') FROM
      unnest(string_to_array(search_text, ' ')) WITH ORDINALITY AS each (word, place)
    WHERE word <> ''
  )::tsvector || owner_word(owner)::tsvector;
EXCEPTION WHEN program_limit_exceeded THEN
  RETURN words_of(owner, left(search_text, length(search_text) / 2));
END $$;
CREATE FUNCTION index_words() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  NEW.words := words_of(NEW.user_id, NEW.search_text);
  NEW.search_text := '';
  RETURN NEW;
END $$;
CREATE TRIGGER messages_indexed BEFORE INSERT OR UPDATE OF search_text ON messages
FOR EACH ROW WHEN (NEW.search_text <> '') EXECUTE FUNCTION index_words();
CREATE INDEX messages_by_words ON messages USING gin (words) WITH (fastupdate = off);

-- Operators of full text are not leakproof, so under row security PostgreSQL would read every message of the user.
-- This function runs as a role that sees all messages, and itself stays within the user of the transaction. Whether a
-- word is rare decides the plan, so it is planned for the words that are asked for.
CREATE FUNCTION messages_found(wanted TEXT, items BIGINT)
RETURNS TABLE (id TEXT, conversation_id TEXT, role TEXT, content TEXT, created_at BIGINT, title TEXT)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
  own TEXT := user_id();
  asked TSQUERY := owner_word(own)::tsquery && wanted::tsquery;
BEGIN
  RETURN QUERY
  SELECT m.id, m.conversation_id, m.role, m.content, m.created_at, c.title
  FROM messages m JOIN conversations c ON c.user_id = own AND c.id = m.conversation_id
  WHERE m.user_id = own AND m.words @@ asked
  ORDER BY m.id DESC
  LIMIT items;
END $$;
REVOKE ALL ON FUNCTION messages_found FROM PUBLIC;
GRANT EXECUTE ON FUNCTION messages_found TO kira_app;
GRANT SELECT ON messages, conversations TO kira_search;
ALTER FUNCTION messages_found OWNER TO kira_search;

-- A new run, one that was put back and one that is to stop wake the workers of every instance.
CREATE FUNCTION ring_runs() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('kira_runs', CASE WHEN NEW.state = 'queued' THEN 'queued' ELSE 'stop' END);
  RETURN NULL;
END $$;
CREATE TRIGGER runs_added AFTER INSERT ON runs FOR EACH ROW EXECUTE FUNCTION ring_runs();
CREATE TRIGGER runs_changed AFTER UPDATE OF state, cancel_asked ON runs FOR EACH ROW
WHEN ((NEW.state = 'queued' AND OLD.state <> 'queued') OR (NEW.state = 'running' AND NEW.cancel_asked > OLD.cancel_asked))
EXECUTE FUNCTION ring_runs();

-- What runs said wakes the readers of every instance.
CREATE FUNCTION ring_stream() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('kira_stream', '');
  RETURN NULL;
END $$;
CREATE TRIGGER run_events_published AFTER INSERT ON run_events FOR EACH STATEMENT EXECUTE FUNCTION ring_stream();

SELECT protect('users', 'id');
SELECT protect('sessions');
SELECT protect('settings');
SELECT protect('conversations');
SELECT protect('messages');
SELECT protect('runs');
SELECT protect('shares');
SELECT protect('limits');
SELECT protect('widgets');
SELECT protect('run_events');
REVOKE ALL ON run_events FROM kira_app;  -- no statement of one user names it
CREATE POLICY search ON messages FOR SELECT TO kira_search USING (true);
CREATE POLICY search ON conversations FOR SELECT TO kira_search USING (true);

SELECT open_across('users', 'SELECT, INSERT, UPDATE');
SELECT open_across('sessions', 'SELECT, INSERT, UPDATE, DELETE');
SELECT open_across('runs', 'SELECT, UPDATE');
SELECT open_across('shares', 'SELECT');
SELECT open_across('run_events', 'SELECT, INSERT, DELETE');
GRANT SELECT, INSERT, UPDATE, DELETE ON invitations, attempts, findings, workers, marks TO kira_worker;
GRANT SELECT ON waiting TO kira_worker;
