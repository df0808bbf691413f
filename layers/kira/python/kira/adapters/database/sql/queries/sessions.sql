-- page --
-- The user's living sessions, newest first, after the one named by the cursor.
SELECT id, device, created_at, seen_at FROM sessions
WHERE user_id = :user_id AND ended_at IS NULL AND expires_at > :now
  AND (CAST(:before AS TEXT) IS NULL OR id < :before)
ORDER BY id DESC
LIMIT :items;

-- finish --
-- End one living session; its access tokens are refused from now on.
UPDATE sessions SET ended_at = :now
WHERE user_id = :user_id AND id = :session_id AND ended_at IS NULL AND expires_at > :now;

-- finish_others --
-- End every session of the user but this one.
UPDATE sessions SET ended_at = :now
WHERE user_id = :user_id AND id <> :session_id AND ended_at IS NULL;
