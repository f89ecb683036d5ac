"""The containers and Kubernetes' resources: current, of one mind with each other, and taken by who reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import kubernetes
from exporter.config import load_config

PACKAGING = Path(__file__).parents[1] / "packaging"
COMPOSE = yaml.safe_load((PACKAGING / "compose.yaml").read_text())
MANIFESTS = [
    document
    for path in sorted((PACKAGING / "kubernetes").glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
VOLUME = re.compile(r"([^:]+):([^:]+)(?::ro)?")


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [document for document in MANIFESTS if document["kind"] in kinds]


def promtool(*arguments: str | Path) -> None:
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("no promtool here: Debian has it in the package prometheus")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- containers ---


def mounts() -> list[tuple[str, str]]:
    """What is mounted, and where."""
    found = [
        VOLUME.fullmatch(text) for service in COMPOSE["services"].values() for text in service.get("volumes", ())
    ]
    return [(it[1], it[2]) for it in found if it]


def test_what_is_mounted_is_there() -> None:
    for source, _ in mounts():
        if source.startswith("."):
            assert (PACKAGING / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]


def test_every_volume_is_used() -> None:
    assert set(COMPOSE["volumes"]) == {source for source, _ in mounts() if not source.startswith(".")}


def test_what_is_built_has_a_recipe() -> None:
    built = [service["build"] for service in COMPOSE["services"].values() if "build" in service]
    assert built
    assert all((PACKAGING / path / "Dockerfile").exists() for path in built)


def test_images_of_others_are_of_one_release() -> None:
    images = [service["image"] for service in COMPOSE["services"].values() if "image" in service]
    assert all(re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", image) for image in images)


def test_nothing_listens_beyond_this_host() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_exporter_takes_its_configuration_and_reads_what_postfix_writes() -> None:
    config = load_config(PACKAGING / "compose/mailstat.yml")
    start = (PACKAGING / "compose/postfix/start").read_text()
    assert f"maillog_file={config.sources[0].file} " in start
    showq = config.queues[0].postfix and config.queues[0].postfix.showq
    assert showq == "postfix:10028"
    assert "10028 inet n - n - - showq" in start
    assert not any("10028" in port for port in COMPOSE["services"]["postfix"]["ports"])


def test_the_start_of_postfix_is_a_script() -> None:
    assert subprocess.run(["sh", "-n", PACKAGING / "compose/postfix/start"], check=False).returncode == 0


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    shutil.copy(PACKAGING / "compose/prometheus.yml", tmp_path)
    shutil.copytree(kubernetes.HERE / "rules", tmp_path / "rules")
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_prometheus_asks_services_that_there_are() -> None:
    text = (PACKAGING / "compose/prometheus.yml").read_text()
    assert set(re.findall(r'"(\w+):\d+"', text)) <= set(COMPOSE["services"])


def test_grafana_finds_the_dashboards_and_prometheus() -> None:
    provider = yaml.safe_load((PACKAGING / "compose/grafana/dashboards.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] in dict(mounts()).values()
    source = yaml.safe_load((PACKAGING / "compose/grafana/datasource.yaml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"


# --- Kubernetes ---


def test_what_is_made_of_rules_and_dashboards_is_current() -> None:
    assert kubernetes.stale(kubernetes.FOLDER) == []


def test_all_files_are_applied() -> None:
    named = yaml.safe_load((PACKAGING / "kubernetes/kustomization.yaml").read_text())["resources"]
    assert sorted(named) == sorted(
        path.name for path in (PACKAGING / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"
    )


def test_no_name_is_given_twice() -> None:
    names = [(it["kind"], it["metadata"]["name"]) for it in MANIFESTS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("rule", of_kind("PrometheusRule"), ids=lambda it: it["metadata"]["name"])
def test_prometheus_takes_the_rules(rule: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    promtool("check", "rules", tmp_path / "rules.yaml")


@pytest.mark.parametrize("name", ["mailstat", "mailstat-probe"])
def test_the_exporter_takes_its_configuration(name: str, tmp_path: Path) -> None:
    (found,) = (it for it in of_kind("ConfigMap") if it["metadata"]["name"] == name)
    file = tmp_path / "mailstat.yml"
    file.write_text(found["data"]["mailstat.yml"])
    assert load_config(file).sources


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor", "Service"])
def test_selectors_find_the_pods_and_their_port(kind: str) -> None:
    pods = [it["spec"]["template"] for it in of_kind("DaemonSet", "Deployment")]
    for it in of_kind(kind):
        selector = it["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        (pod,) = (pod for pod in pods if wanted.items() <= pod["metadata"]["labels"].items())
        assert [port["name"] for port in pod["spec"]["containers"][0]["ports"]] == ["metrics"]


def test_a_job_is_named_so_that_an_exporter_that_is_down_is_noticed() -> None:
    # The operator names a job after the Service, or after the PodMonitor.
    assert all("mailstat" in it["metadata"]["name"] for it in of_kind("Service", "PodMonitor"))


@pytest.mark.parametrize("pod", of_kind("DaemonSet", "Deployment"), ids=lambda it: it["metadata"]["name"])
def test_a_pod_has_no_more_rights_than_it_needs(pod: dict[str, Any]) -> None:
    spec = pod["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        named = {volume["name"] for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == named


def test_a_dashboard_fits_into_what_kubectl_notes_of_it() -> None:
    for it in of_kind("ConfigMap"):
        assert sum(map(len, it["data"].values())) < 200_000
