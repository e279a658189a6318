-- A job is written anew at its claim and at its end: leave room for that beside it, on its own page.
ALTER TABLE jobs SET (fillfactor = 50)
