-- A user's jobs in play, countable by an index that no claim can mistake for its own.
CREATE INDEX IF NOT EXISTS jobs_active ON jobs (kind, active_user) WHERE active_user IS NOT NULL
