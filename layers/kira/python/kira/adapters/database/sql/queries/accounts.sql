-- me --
-- The user's own row.
SELECT id, email, name, role, created_at FROM users WHERE id = :user_id;

-- change --
-- Change the name or the e-mail; the local user has no e-mail until accounts are on.
UPDATE users SET name = COALESCE(:name, name), email = COALESCE(:email, email)
WHERE id = :user_id AND (local = 0 OR CAST(:email AS TEXT) IS NULL)
RETURNING id, email, name, role, created_at;

-- password --
-- The hash that a change of the password is checked against.
SELECT email, password_hash FROM users WHERE id = :user_id;

-- change_password --
-- Put a new password in the place of the one that was checked.
UPDATE users SET password_hash = :fresh_hash WHERE id = :user_id AND password_hash = :checked_hash;
