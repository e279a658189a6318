"""`deploy/kubernetes` and the Dockerfile are not run here; they are read, and what they say is true."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from media_pipeline.app import create_app
from media_pipeline.cli import build_parser
from media_pipeline.environment import read_settings, read_shared_settings
from media_pipeline.program import Program
from media_pipeline.queue.job import JobState
from media_pipeline.settings import Settings
from tests.integration.program import Scripted, output, running

ROOT: Final = Path(__file__).parents[2]
MANIFESTS: Final = ROOT / "deploy/kubernetes"
PAGE: Final = (ROOT / "docs/kubernetes.md").read_text("utf-8")
CLUSTER: Final = "1.33"
OWN_SCHEMAS: Final = {"Kustomization", "ScaledObject"}
"""Kinds of tools around Kubernetes, whose schemas are not Kubernetes' own."""
Manifest = dict[str, Any]


def load() -> Iterator[tuple[str, Manifest]]:
    for file in sorted(MANIFESTS.glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text("utf-8")):
            yield f"{file.stem}: {manifest['kind']}", manifest


ALL: Final = list(load())
PODS: Final = {
    manifest["metadata"]["labels"]["part"]: manifest["spec"]["template"]["spec"]
    for _, manifest in ALL
    if manifest["kind"] in {"Deployment", "Job"}
}
CONFIG: Final[Mapping[str, str]] = next(each for _, each in ALL if each["kind"] == "ConfigMap")["data"]
GRACE: Final = int(CONFIG["MEDIA_GRACE_SECONDS"])


def container(part: str) -> Any:
    (only,) = PODS[part]["containers"]
    return only


@pytest.mark.parametrize("manifest", [each for _, each in ALL], ids=[name for name, _ in ALL])
def test_kubernetes_takes_it(manifest: Manifest) -> None:
    """Each manifest fits the schema of its kind, without a field that the cluster would not know."""
    if manifest["kind"] not in OWN_SCHEMAS:
        kubernetes_validate.validate(manifest, CLUSTER, strict=True)


def test_every_file_is_applied_but_the_migration() -> None:
    """`kubectl apply -k` takes every file, but for the job that runs once."""
    (listed,) = [manifest["resources"] for _, manifest in ALL if manifest["kind"] == "Kustomization"]
    files = {file.name for file in MANIFESTS.glob("*.yaml")}
    assert {*listed, "migrate.yaml", "kustomization.yaml"} == files


def test_every_part_is_a_command_that_starts_with_what_it_is_given() -> None:
    """What containers run are commands, every variable is a setting, and together they are accepted."""
    assert PODS.keys() == {"serve", "worker", "migrate"}
    secret = dict.fromkeys(re.findall(r"--from-literal=(\w+)", PAGE), "s" * 32)
    secret |= {"DATABASE_URL": "postgresql://db/media", "REDIS_URL": "redis://redis"}
    for part in PODS:
        assert build_parser().parse_args(container(part)["args"]).command.__name__ == f"_{part}"
        own = {each["name"]: each["value"] for each in container(part).get("env", ())}
        given = {**CONFIG, **secret, **own}
        assert given.keys() <= {name.upper() for name in Settings.model_fields}
        read_shared_settings(**{name.lower(): value for name, value in given.items()})
        sources = container(part)["envFrom"]
        assert [next(iter(each.values())) for each in sources] == [{"name": "media-pipeline"}] * 2


def test_no_secret_stands_in_a_file() -> None:
    """Secrets are referred to by name alone."""
    assert "Secret" not in {manifest["kind"] for _, manifest in ALL}
    assert not [name for name in CONFIG if re.search("SECRET|KEY|TOKEN|PASSWORD|DATABASE_URL", name)]


def test_probes_name_real_routes() -> None:
    """Probes, the scrape and the image's own health check ask what the service answers without a token."""
    paths = create_app(Program(read_settings())).openapi()["paths"]
    serve = container("serve")
    probes = {serve[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    dockerfile = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    asked = re.search(r"\)\}(/\w+)'", dockerfile)
    assert asked is not None
    assert probes | {asked[1], "/metrics"} <= paths.keys()
    assert probes == {"/healthz", "/readyz"}
    assert serve["ports"] == [{"name": "http", "containerPort": int(serve["env"][1]["value"])}]
    assert not [kind for kind in container("worker") if kind.endswith("Probe")]


def test_a_stop_has_the_time_it_needs() -> None:
    """A pod may take the pause before its signal, the grace of running jobs, and the two seconds beyond."""
    for part in ("serve", "worker"):
        pause = container(part).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert PODS[part]["terminationGracePeriodSeconds"] >= pause + GRACE + 2


def test_no_container_may_do_more_than_it_needs() -> None:
    """Not root, nothing to gain, nothing to write but what is mounted, no token of the cluster."""
    for part, pod in PODS.items():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(part)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container(part)["resources"]["limits"]


async def test_the_autoscaler_reads_what_is_served() -> None:
    """Every metric of a rule stands at `/metrics`, and a worker is reckoned with the slots it has."""
    (rule,) = [manifest for _, manifest in ALL if manifest["kind"] == "ScaledObject"]
    queries = " ".join(trigger["metadata"]["query"] for trigger in rule["spec"]["triggers"])
    names = set(re.findall(r"media_pipeline_\w+", queries))
    states = set(re.findall(r'state=~"([^"]+)"', queries)[0].split("|"))
    assert len(names) == 2
    held = asyncio.Event()
    provider = Scripted(scripts=[[held, output()]])
    async with running(providers=[provider]) as service:  # what waits or runs is counted, nothing else
        await service.user("ann").generate(prompt="a harbour")
        await provider.began.wait()
        served = (await service.http.get("/metrics")).text
        held.set()
    assert names <= set(re.findall(r"^# TYPE (\w+)", served, re.MULTILINE))
    assert states <= set(JobState)
    assert rule["spec"]["triggers"][0]["metadata"]["threshold"] == CONFIG["MEDIA_CONCURRENCY"]
    named = {manifest["metadata"]["name"] for _, manifest in ALL if manifest["kind"] == "Deployment"}
    assert rule["spec"]["scaleTargetRef"]["name"] in named


def test_selectors_find_their_pods() -> None:
    """Whatever selects pods selects some of ours."""
    labels = [
        manifest["spec"]["template"]["metadata"]["labels"].items()
        for _, manifest in ALL
        if manifest["kind"] in {"Deployment", "Job"}
    ]
    for name, manifest in ALL:
        spec = manifest.get("spec", {})
        wanted = spec.get("podSelector") or spec.get("selector")
        if wanted:
            assert any(wanted.get("matchLabels", wanted).items() <= each for each in labels), name


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    """The image is built by rules of the trade, by a user without rights, and says that it was not run."""
    hadolint = Path(sys.executable).with_name("hadolint")
    read = subprocess.run(
        [hadolint, "--no-color", ROOT / "deploy/Dockerfile"], check=False, capture_output=True, text=True
    )
    assert (read.returncode, read.stdout) == (0, "")
    text = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "NOT RUN" in text
