-- What the fleet has learnt of a provider: until when it wants to be left alone, and its failures in a row.
CREATE TABLE IF NOT EXISTS provider_health (
  provider TEXT NOT NULL PRIMARY KEY,
  paused_until INT8 NOT NULL,
  failures INT8 NOT NULL,
  resting_until INT8 NOT NULL
)
