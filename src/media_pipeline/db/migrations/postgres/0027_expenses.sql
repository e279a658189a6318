-- What a user's jobs cost: promised before a job is enqueued, corrected when it has ended.
CREATE TABLE IF NOT EXISTS expenses (
  job_id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  made INT8 NOT NULL,
  items INT8 NOT NULL,
  micros INT8 NOT NULL,
  unfinished INT8 NOT NULL
)
