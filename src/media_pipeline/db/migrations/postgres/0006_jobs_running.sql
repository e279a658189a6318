CREATE INDEX IF NOT EXISTS jobs_running ON jobs (worker_id) WHERE state = 'running'
