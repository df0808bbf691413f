-- load --
-- The slots that a server was found to have with this version of model and server.
SELECT slots FROM findings WHERE server = :server AND model = :model AND version = :version;

-- save --
-- Remember what was found out about a server.
INSERT INTO findings (server, model, version, slots, found_at)
VALUES (:server, :model, :version, :slots, :now)
ON CONFLICT (server, model) DO UPDATE SET
  version = excluded.version, slots = excluded.slots, found_at = excluded.found_at;
