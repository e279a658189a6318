-- What a user's jobs cost: promised before a job is enqueued, corrected when it has ended.
CREATE TABLE expenses (
  job_id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  made INTEGER NOT NULL,
  items INTEGER NOT NULL,
  micros INTEGER NOT NULL,
  unfinished INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX expenses_of_user ON expenses (user_id, made);

-- How many requests a user made since `began`, the beginning of a minute.
CREATE TABLE request_counts (
  user_id TEXT NOT NULL PRIMARY KEY,
  began INTEGER NOT NULL,
  taken INTEGER NOT NULL
) STRICT, WITHOUT ROWID
