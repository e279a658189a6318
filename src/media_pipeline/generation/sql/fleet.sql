-- name: held
-- The slots of a provider that somebody holds.
SELECT slot FROM provider_slots WHERE provider = :provider AND held_until >= :now;

-- name: take
-- Take a slot that nobody holds; no row when somebody was faster.
INSERT INTO provider_slots (provider, slot, holder, held_until)
VALUES (:provider, :slot, :holder, :now + :lease)
ON CONFLICT (provider, slot) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
WHERE provider_slots.held_until < :now
RETURNING slot;

-- name: renew
-- Hold for longer what this process holds.
UPDATE provider_slots SET held_until = :now + :lease WHERE holder = :holder AND held_until >= :now;

-- name: leave
-- Give a slot back.
UPDATE provider_slots SET held_until = 0 WHERE provider = :provider AND slot = :slot AND holder = :holder;

-- name: health
-- How long a provider wants to be left alone, and whether it rests after failures, in microseconds from now.
SELECT paused_until - :now AS paused, resting_until - :now AS resting, failures
FROM provider_health WHERE provider = :provider;

-- name: pause
-- Leave a provider alone for as long as it asked.
INSERT INTO provider_health (provider, paused_until, failures, resting_until)
VALUES (:provider, :now + :pause, 0, 0)
ON CONFLICT (provider) DO UPDATE SET paused_until = CASE
  WHEN excluded.paused_until > provider_health.paused_until THEN excluded.paused_until
  ELSE provider_health.paused_until END;

-- name: fail
-- Count a failure in a row; from the limit on the provider rests.
INSERT INTO provider_health (provider, paused_until, failures, resting_until)
VALUES (:provider, 0, 1, CASE WHEN :most <= 1 THEN :now + :rest ELSE 0 END)
ON CONFLICT (provider) DO UPDATE SET failures = provider_health.failures + 1, resting_until = CASE
  WHEN provider_health.failures + 1 >= :most THEN :now + :rest
  ELSE provider_health.resting_until END;

-- name: probe
-- Let one of the fleet try a provider whose rest is over; the others wait for what it finds.
UPDATE provider_health SET resting_until = :now + :rest
WHERE provider = :provider AND failures >= :most AND resting_until <= :now RETURNING provider;

-- name: recover
-- A provider works again.
UPDATE provider_health SET failures = 0, resting_until = 0 WHERE provider = :provider AND failures > 0;
