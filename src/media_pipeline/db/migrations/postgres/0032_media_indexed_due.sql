-- Whose index is not whole yet.
CREATE INDEX IF NOT EXISTS media_indexed_due ON media_indexed (began) WHERE ready_at IS NULL
