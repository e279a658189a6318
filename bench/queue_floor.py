"""The floor that no queue can pass: bare inserts with the server's own tool, and a bare wake-up."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg
from tests.servers.postgres import OwnServer, find_binaries

SECONDS = 3
INSERT = (
    'INSERT INTO floor VALUES (gen_random_uuid(), \'user-1\', \'{"prompt": "a harbour at dusk", "n": 1}\');\n'
)


def report(server: OwnServer) -> None:
    for clients in (1, 32):
        print(f"floor: bare INSERT, {clients:>2} clients  {insert_rate(server, clients=clients)}")
    print(f"floor: NOTIFY to LISTEN, median    {notify_us(server):,.0f} us", flush=True)


def insert_rate(server: OwnServer, *, clients: int) -> str:
    """Return single-row inserts a second by pgbench, prepared; or why not."""
    pgbench = shutil.which("pgbench") or shutil.which(str(find_binaries() / "pgbench"))
    if pgbench is None:
        return "left out: there is no pgbench here"
    url = server.create_database("floor")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE TABLE floor (id UUID PRIMARY KEY, user_id TEXT, payload TEXT)")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(INSERT)
        options = ("-n", "-M", "prepared", "-c", str(clients), "-T", str(SECONDS), "-f", str(script))
        done = subprocess.run([pgbench, *options, url], capture_output=True, text=True, check=False)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    return f"{float(rate[1]):,.0f} /s" if rate else f"failed: {done.stderr.strip()[:100]}"


def notify_us(server: OwnServer, *, times: int = 200) -> float:
    """Return the median microseconds from a NOTIFY to the thread that listens."""
    url = server.create_database("floor")
    heard: list[float] = []
    ready = threading.Semaphore(0)

    def listen() -> None:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("LISTEN bell")
            ready.release()
            for _ in conn.notifies(stop_after=times):
                heard.append(time.perf_counter())
                ready.release()

    thread = threading.Thread(target=listen)
    thread.start()
    sent: list[float] = []
    with psycopg.connect(url, autocommit=True) as conn:
        for _ in range(times):
            ready.acquire()
            sent.append(time.perf_counter())
            conn.execute("NOTIFY bell")
    thread.join()
    waits = sorted(at - since for at, since in zip(heard, sent, strict=False))
    return waits[len(waits) // 2] * 1e6


if __name__ == "__main__":
    from tests.servers.postgres import own_server

    report(own_server(durable=True))
