-- One row a worker process; its jobs are alive as long as it is.
CREATE TABLE IF NOT EXISTS workers (
  id TEXT NOT NULL PRIMARY KEY,
  lease_until INT8 NOT NULL
)
