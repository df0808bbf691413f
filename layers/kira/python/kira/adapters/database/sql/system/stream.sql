-- trim --
-- Delete events of runs that have ended a while ago, and of runs that are not there.
DELETE FROM run_events
WHERE published_at < :horizon AND NOT EXISTS (
  SELECT 1 FROM runs r
  WHERE r.user_id = run_events.user_id AND r.id = run_events.run_id
    AND (r.ended_at IS NULL OR r.ended_at >= :horizon));
