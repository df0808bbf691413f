-- all --
-- The user's widgets in their order.
SELECT w.id, w.kind, w.title, w.settings, w.position, w.width, w.height, w.content, w.refreshed_at, w.created_at
FROM widgets w
WHERE w.user_id = :user_id
ORDER BY w.position, w.id;

-- one --
-- One widget.
SELECT w.id, w.kind, w.title, w.settings, w.position, w.width, w.height, w.content, w.refreshed_at, w.created_at,
  w.refreshing_until
FROM widgets w
WHERE w.user_id = :user_id AND w.id = :widget_id;

-- add --
-- A widget after the others, unless there are too many.
INSERT INTO widgets (user_id, id, kind, title, settings, position, width, height, created_at)
SELECT :user_id, :widget_id, :kind, :title, :settings, n.position, :width, :height, :now
FROM (
  SELECT COALESCE(MAX(w.position) + 1, 0) AS position, COUNT(*) AS widgets FROM widgets w WHERE w.user_id = :user_id
) n
WHERE n.widgets < :widgets_max;

-- change --
-- What the user chose.
UPDATE widgets SET title = :title, settings = :settings, width = :width, height = :height
WHERE user_id = :user_id AND id = :widget_id;

-- move --
-- A new place in the order.
UPDATE widgets SET position = :position WHERE user_id = :user_id AND id = :widget_id;

-- refreshing --
-- One makes what a widget that is not fresh any more shows; the others get no row.
UPDATE widgets SET refreshing_until = :until
WHERE user_id = :user_id AND id = :widget_id
  AND (refreshed_at IS NULL OR refreshed_at <= :stale)
  AND (refreshing_until IS NULL OR refreshing_until <= :now)
RETURNING id;

-- refreshed --
-- What the widget shows now.
UPDATE widgets SET content = :content, refreshed_at = :now, refreshing_until = NULL
WHERE user_id = :user_id AND id = :widget_id;

-- given_up --
-- What was to be shown could not be made; another may try.
UPDATE widgets SET refreshing_until = NULL WHERE user_id = :user_id AND id = :widget_id AND refreshing_until = :until;

-- remove --
-- Remove a widget.
DELETE FROM widgets WHERE user_id = :user_id AND id = :widget_id;
