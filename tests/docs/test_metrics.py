"""Dashboards, alerts and the page of metrics speak of what the program serves, and of all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import promql_parser
import pytest
import pytest_asyncio
import yaml
from prometheus_client.parser import text_string_to_metric_families

from media_pipeline.environment import read_settings
from media_pipeline.ids import JobId, UserId
from media_pipeline.metrics import MEASURES, REGISTRY, render
from media_pipeline.parts import SERVE
from media_pipeline.program import Program
from media_pipeline.queue.job import NewJob

ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture
async def served() -> set[str]:
    """The names of what a program serves that has something to count."""
    program = Program(read_settings(), roles=SERVE)
    await program.start()
    try:
        await program.queue.enqueue(
            NewJob(id=JobId("a"), user_id=UserId("ann"), kind="generate.image", payload={})
        )
        text = (await render(program.gauges())).decode()
    finally:
        await program.stop()
    families = [*text_string_to_metric_families(text), *REGISTRY.collect()]
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return {family.name + ending for family in families for ending in endings.get(family.type, [""])}


def used(expression: str) -> set[str]:
    """Return the names of metrics in an expression; `ValueError` for one that Prometheus would not take."""
    names = set()

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            names.add(node.name or "")
        return True

    promql_parser.walk(promql_parser.parse(expression.replace("$__rate_interval", "5m")), visit)
    return names


def expressions() -> dict[str, str]:
    """Return every expression of the dashboard and the alerts, by where it stands."""
    board = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text("utf-8"))
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text("utf-8"))
    drawn = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", [])
    }
    warned = {rule["alert"]: rule["expr"] for group in alerts["groups"] for rule in group["rules"]}
    return drawn | warned


@pytest.mark.asyncio
async def test_dashboard_and_alerts_name_only_what_is_served(served: set[str]) -> None:
    """A panel or an alert on a metric that does not exist would stay empty for ever, unnoticed."""
    assert len(expressions()) > 20
    assert {
        place: sorted(used(text) - served) for place, text in expressions().items() if used(text) - served
    } == {}
    assert used('max by (kind) (rate(media_x_total{state="a"}[5m]) > 2 * media_y)') == {
        "media_x_total",
        "media_y",
    }
    for wrong in ("rate(media_x_total)", "media_x >> 1", "sum(media_x", "rat(media_x[5m])"):
        with pytest.raises(ValueError, match=r"."):
            used(wrong)


@pytest.mark.asyncio
async def test_every_metric_is_documented_with_its_labels(served: set[str]) -> None:
    """The page has each metric that is served, and none that is not."""
    rows = re.findall(r"^\| `(media_pipeline_\w+)` \| (\w+) \| ([^|]*)\|", page(), re.MULTILINE)
    endings = {"histogram": "_count"}
    assert {name + endings.get(kind, "") for name, kind, _ in rows} == {
        name
        for name in served
        if name.startswith("media_pipeline_") and not name.endswith(("_bucket", "_sum", "_created"))
    }
    labels = {name: re.findall(r"`(\w+)`", text) for name, _, text in rows}
    for measures in MEASURES.values():
        for measure in measures:
            [family] = measure.metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            assert labels[name] == list(measure.labels)


def page() -> str:
    return (ROOT / "docs/metrics.md").read_text("utf-8")


def test_every_alert_says_what_to_do() -> None:
    """An alert that nobody can act on is noise: each has its line in the operator's page."""
    operations = (ROOT / "docs/operations.md").read_text("utf-8")
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text("utf-8"))
    names = {rule["alert"] for group in alerts["groups"] for rule in group["rules"]}
    assert names == set(re.findall(r"^\| `(\w+)` \|", operations.partition("## Alerts")[2], re.MULTILINE))
