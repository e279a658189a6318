-- What a claim reads: exactly its order.
CREATE INDEX IF NOT EXISTS jobs_ready ON jobs (kind, lane, ord, id) WHERE state = 'available'
