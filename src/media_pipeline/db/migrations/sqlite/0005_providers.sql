-- One row a place in a provider's concurrency; it is free when `held_until` is over.
CREATE TABLE provider_slots (
  provider TEXT NOT NULL,
  slot INTEGER NOT NULL,
  holder TEXT NOT NULL,
  held_until INTEGER NOT NULL,
  PRIMARY KEY (provider, slot)
) STRICT, WITHOUT ROWID;

-- What was learnt of a provider: until when it wants to be left alone, and its failures in a row.
CREATE TABLE provider_health (
  provider TEXT NOT NULL PRIMARY KEY,
  paused_until INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  resting_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID
