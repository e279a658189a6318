CREATE INDEX IF NOT EXISTS jobs_settled ON jobs (finished_at) WHERE settled
