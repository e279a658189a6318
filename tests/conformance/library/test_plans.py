"""A page of a large library is read from its index, never sorted out of the whole."""

from __future__ import annotations

import json

from media_pipeline.db.database import Database, Effect, Params
from media_pipeline.db.statements import Statement, load_dialects

SQL = load_dialects("media_pipeline.media", "sql/library")
PARAMS: Params = {
    "user_id": "ann",
    "place": 1 << 62,
    "path": "",
    "low": "media/ann/",
    "high": "media/ann/\U0010ffff",
    "kind": None,
    "source": None,
    "first": " w1",
    "others": "[]",
    "patterns": '{"% w1%"}',
    "word": b"w1",
    "beyond": b"w1\xff",
    "other": b"w2",
    "beyond_other": b"w2\xff",
    "most": 1000,
    "limit": 51,
    "age": 0,
}
PATHS: dict[str, Params] = {
    "sqlite": {"paths": '["media/ann/images/7"]'},
    "postgres": {"paths": '{"media/ann/images/7"}'},
}
INDEX = {
    "newest": "media_newest",
    "oldest": "media_newest",
    "largest": "media_largest",
    "newest_found": "media_pkey",
    "count_matches": "media_words_pkey",
    "matches": "media_words_pkey",
    "matches_of_both": "media_words_pkey",
    "index_due": "media_indexed_due",
}
AUTOMATIC = {"media_pkey": "sqlite_autoindex_media_1", "media_words_pkey": "PRIMARY KEY"}


async def plan(database: Database, name: str, **given: str) -> str:
    """Return how a database would run a statement."""
    text = SQL[name].text if database.dialect == "postgres" else SQL[name].sqlite
    explain = "EXPLAIN (FORMAT JSON) " if database.dialect == "postgres" else "EXPLAIN QUERY PLAN "
    params = {**PARAMS, **PATHS[database.dialect], **given}
    rows = await database.fetch(Statement("explain", explain + text), params)
    return json.dumps([dict(row) for row in rows])


FILL = Statement(
    "fill",
    "INSERT INTO media"
    " (path, user_id, job_id, kind, source, name, content_type, size, version, words, created_at)"
    " WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 20000)"
    " SELECT 'media/ann/images/' || n, 'ann', 'job', 'image', 'generated', 'n', 'image/png', n % 977, '1',"
    " ' w' || (n % 7), n FROM counted",
)
FILL_WORDS = Statement(
    "fill_words",
    "INSERT INTO media_words (user_id, word, path)"
    " SELECT user_id, convert_to(substr(words, 2), 'UTF8'), path FROM media",
    "INSERT INTO media_words (user_id, word, path)"
    " SELECT user_id, CAST(substr(words, 2) AS BLOB), path FROM media",
)


async def test_a_page_is_read_from_its_index(database: Database) -> None:
    """With 20,000 items every listing and search begins with its index; a listing in order sorts nothing."""
    await database.apply([Effect(FILL, {}), Effect(FILL_WORDS, {})])
    if database.dialect == "postgres":
        await database.alter([Effect(Statement("analyze", "ANALYZE"), {})])
    for name, index in INDEX.items():
        told = await plan(database, name)
        assert (index if database.dialect == "postgres" else AUTOMATIC.get(index, index)) in told
        assert "Seq Scan" not in told
        if name in ("newest", "oldest", "largest"):
            assert "Sort" not in told
            assert "TEMP B-TREE" not in told


async def test_whose_words_are_not_kept_is_asked_first(database: Database) -> None:
    """Keeping an item looks for its user's index before anything else, and each is looked up by its key."""
    await database.apply([Effect(FILL, {})])
    arrays = database.dialect == "postgres"
    item = {"user_id": "{ann}", "path": "{media/ann/images/7}"} if arrays else {}
    told = await plan(database, "insert_words", **item)
    first, second = ("media_indexed_pkey", "media_pkey") if arrays else ("SEARCH owner", "SEARCH media")
    assert 0 < told.index(first) < told.index(second)
    assert "Seq Scan" not in told
    assert "SCAN media" not in told
