CREATE INDEX IF NOT EXISTS media_largest ON media (user_id, size, path) WHERE removing = 0
