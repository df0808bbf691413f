-- all --
-- Every user with when a session of theirs was last seen, for the terminal; never what they wrote.
SELECT u.id, u.email, u.name, u.role, u.disabled_at, u.created_at,
  (SELECT MAX(s.seen_at) FROM sessions s WHERE s.user_id = u.id AND s.expires_at > :now) AS seen_at
FROM users u
ORDER BY u.created_at, u.id;
