CREATE INDEX IF NOT EXISTS jobs_unsettled ON jobs (finished_at) WHERE NOT settled AND finished_at IS NOT NULL
