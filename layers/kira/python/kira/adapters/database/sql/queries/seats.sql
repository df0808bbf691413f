-- take --
-- A seat for one more event stream.
INSERT INTO seats (user_id, id) VALUES (:user_id, :seat_id);

-- give_up --
-- Of too many seats the newest stay.
DELETE FROM seats
WHERE user_id = :user_id AND id NOT IN (
  SELECT s.id FROM seats s WHERE s.user_id = :user_id ORDER BY s.id DESC LIMIT :items
);

-- held --
-- Whether a seat was not given up.
SELECT 1 AS held FROM seats WHERE user_id = :user_id AND id = :seat_id;

-- leave --
-- A stream has ended.
DELETE FROM seats WHERE user_id = :user_id AND id = :seat_id;
