-- What users' unfinished uploads have been promised of their quota.
CREATE TABLE IF NOT EXISTS media_reserved (
  job_id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  bytes INT8 NOT NULL,
  expires_at INT8 NOT NULL
)
