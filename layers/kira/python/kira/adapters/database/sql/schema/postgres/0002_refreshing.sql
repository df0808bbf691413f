-- Of all instances one makes what a widget shows; it is given up when it was not made by then.
-- since 1
ALTER TABLE widgets ADD COLUMN refreshing_until BIGINT;
