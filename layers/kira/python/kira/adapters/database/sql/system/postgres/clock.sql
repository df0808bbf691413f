-- read --
-- What time it is on the server, in microseconds.
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS moment;
