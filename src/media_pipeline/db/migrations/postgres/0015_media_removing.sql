CREATE INDEX IF NOT EXISTS media_removing ON media (path) WHERE removing = 1
