CREATE INDEX IF NOT EXISTS jobs_blocked ON jobs (kind, user_id, lane, ord, id) WHERE state = 'blocked'
