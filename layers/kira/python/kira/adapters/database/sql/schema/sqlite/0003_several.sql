-- What several processes on the same data know of one another.

-- Workers, with what each serves; a row that is not fresh is of one that is gone.
CREATE TABLE workers (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  fleet TEXT NOT NULL,
  seen_at BIGINT NOT NULL
);

-- What holds for the whole installation, such as a fingerprint of its master key.
CREATE TABLE marks (
  name TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
);

-- Of several that start at once on an empty file, one makes the local user.
CREATE UNIQUE INDEX users_local ON users (local) WHERE local = 1;
