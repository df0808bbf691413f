-- clear --
-- Forget the seats whose streams have ended without a word.
DELETE FROM seats WHERE user_id = :user_id AND until <= :now;

-- take --
-- A seat for one more event stream, unless the user has too many.
INSERT INTO seats (user_id, id, until)
SELECT :user_id, :seat_id, :until
FROM (SELECT COUNT(*) AS seats FROM seats s WHERE s.user_id = :user_id) n
WHERE n.seats < :seats_max
RETURNING id;

-- keep --
-- A stream goes on; no row says that its seat was forgotten.
UPDATE seats SET until = :until WHERE user_id = :user_id AND id = :seat_id
RETURNING id;

-- leave --
-- A stream has ended.
DELETE FROM seats WHERE user_id = :user_id AND id = :seat_id;
