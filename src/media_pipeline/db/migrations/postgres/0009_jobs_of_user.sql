CREATE INDEX IF NOT EXISTS jobs_of_user ON jobs (user_id, created_at, id)
