-- One row a place in a provider's concurrency; it is free when `held_until` is over.
CREATE TABLE IF NOT EXISTS provider_slots (
  provider TEXT NOT NULL,
  slot INT8 NOT NULL,
  holder TEXT NOT NULL,
  held_until INT8 NOT NULL,
  PRIMARY KEY (provider, slot)
)
