-- The trace that a job's runs go on with, as W3C `traceparent`.
ALTER TABLE jobs ADD COLUMN trace TEXT
