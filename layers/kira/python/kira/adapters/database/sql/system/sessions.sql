-- begin --
-- A new session, unless the password it was begun with (none, for the local user) has been changed meanwhile.
INSERT INTO sessions (user_id, id, refresh_hash, device, created_at, seen_at, expires_at)
SELECT id, :session_id, :refresh_hash, :device, :now, :now, :expires_at FROM users
WHERE id = :owner_id AND disabled_at IS NULL
  AND (password_hash = :checked_hash OR (password_hash IS NULL AND CAST(:checked_hash AS TEXT) IS NULL))
RETURNING id;

-- rotate --
-- Put a fresh refresh token in the place of the one that is spent.
UPDATE sessions SET refresh_hash = :fresh_hash, seen_at = :now, expires_at = :expires_at
WHERE user_id = :owner_id AND id = :session_id AND refresh_hash = :refresh_hash
  AND ended_at IS NULL AND expires_at > :now
RETURNING id;

-- finish_reused --
-- End the session of a refresh token that was spent before.
UPDATE sessions SET ended_at = :now
WHERE user_id = :owner_id AND id = :session_id AND refresh_hash <> :refresh_hash AND ended_at IS NULL;

-- finish_all --
-- End every session of one user.
UPDATE sessions SET ended_at = :now WHERE user_id = :owner_id AND ended_at IS NULL;

-- sweep --
-- Forget sessions that have expired.
DELETE FROM sessions WHERE expires_at <= :now;
