-- exist --
-- Whether anybody has an account; the local user is none.
SELECT EXISTS (SELECT 1 FROM users WHERE local = 0) AS found;

-- by_email --
-- The account that a sign-in is checked against.
SELECT id, email, name, role, password_hash, created_at FROM users
WHERE email = :email AND disabled_at IS NULL;

-- by_id --
-- The user of a session that is refreshed.
SELECT id, email, name, role, created_at FROM users WHERE id = :owner_id AND disabled_at IS NULL;

-- local --
-- The one user of a Kira without accounts.
SELECT id, email, name, role, created_at FROM users WHERE local = 1;

-- add_local --
-- Make the local user where there is no user at all.
INSERT INTO users (id, name, role, local, created_at)
SELECT :id, :name, 'admin', 1, :now WHERE NOT EXISTS (SELECT 1 FROM users)
ON CONFLICT DO NOTHING;

-- add --
-- A new account.
INSERT INTO users (id, email, name, password_hash, role, local, created_at)
VALUES (:id, :email, :name, :password_hash, :role, 0, :now)
RETURNING id, email, name, role, created_at;

-- take_over --
-- The local user becomes the first account and keeps everything.
UPDATE users SET email = :email, name = :name, password_hash = :password_hash, role = 'admin', local = 0
WHERE id = :owner_id AND local = 1
RETURNING id, email, name, role, created_at;

-- rehash --
-- Hash the same password again with the present parameters.
UPDATE users SET password_hash = :fresh_hash WHERE id = :owner_id AND password_hash = :checked_hash;

-- invite --
-- A new invitation.
INSERT INTO invitations (id, token_hash, email, created_by, created_at, expires_at)
VALUES (:id, :token_hash, :email, :owner_id, :now, :expires_at);

-- redeem --
-- Use an invitation up, if it is for this e-mail or for anybody.
UPDATE invitations SET used_at = :now
WHERE token_hash = :token_hash AND used_at IS NULL AND expires_at > :now AND (email IS NULL OR email = :email)
RETURNING id;

-- give_back_attempt --
-- An attempt that succeeded does not count.
UPDATE attempts SET arrival = arrival - :interval WHERE key = :key;

-- sweep_invitations --
-- Forget invitations that nobody used in time.
DELETE FROM invitations WHERE expires_at <= :now;
