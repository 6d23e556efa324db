"""The manifests of deployments/kubernetes and the jobs of its pool: schemas, rights, and names that must agree."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from prefect.utilities.collections import deep_merge
from prefect.utilities.templating import apply_values

from flows.service import deployments
from trap.cli.parser import make_parser

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments/kubernetes"
OLDEST = "1.29"
"""The oldest version of Kubernetes whose schema the manifests are checked against."""
PARTS = [part for path in sorted(FOLDER.glob("*.yaml")) for part in yaml.safe_load_all(path.read_text())]
DEPLOYMENTS = {part["metadata"]["name"]: part for part in PARTS if part["kind"] == "Deployment"}


def name_of(part):
    return f"{part['kind']} {part['metadata']['name']}"


def job():
    """Return the manifest of a job of the work pool as its worker makes it, with the variables of the pool."""
    views = resources.files("prefect.server.api.collections_data.views")
    collections = json.loads(views.joinpath("aggregate-worker-metadata.json").read_text())
    template = collections["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
    pool = deployments._read_pool("kubernetes")
    template = deep_merge(template, pool["base_job_template"])
    defaults = {name: one["default"] for name, one in template["variables"]["properties"].items() if "default" in one}
    values = defaults | pool["job_variables"] | {"command": ["prefect", "flow-run", "execute"], "name": "run"}
    # The worker makes these from texts and dicts.
    values |= {"env": [{"name": "PREFECT_API_URL", "value": "http://prefect-server.trap.svc:4200/api"}]}
    manifest = apply_values(template["job_configuration"]["job_manifest"], values, remove_notset=True)
    # Prefect's own template has these fields of a job in the pod, where Kubernetes passes over them.
    for field in ("completions", "parallelism"):
        del manifest["spec"]["template"]["spec"][field]
    return manifest


def pods():
    return {name: one["spec"]["template"]["spec"] for name, one in DEPLOYMENTS.items()} | {
        "job": job()["spec"]["template"]["spec"]
    }


def containers(pod):
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize(
    "part", [*PARTS, job()], ids=lambda part: name_of(part) if "name" in part["metadata"] else "job"
)
def test_every_manifest_fits_the_schema_of_kubernetes(part, version):
    kubernetes_validate.validate(part, version, strict=True)


def test_the_schema_refuses_a_field_that_kubernetes_does_not_know():
    wrong = json.loads(json.dumps(DEPLOYMENTS["trap-pages"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnly"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


def test_the_parts_of_the_cluster_fit_together():
    names = {(part["kind"], part["metadata"]["name"]) for part in PARTS}
    assert {part["metadata"].get("namespace", "trap") for part in PARTS} == {"trap"}
    assert len(names) == len(PARTS)
    for one in DEPLOYMENTS.values():
        assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
    for pod in pods().values():
        assert ("ServiceAccount", pod.get("serviceAccountName", "trap-worker")) in names | {
            ("ServiceAccount", "default")
        }
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in containers(pod):
            for source in (one for one in container["envFrom"] if "configMapRef" in one):
                assert ("ConfigMap", source["configMapRef"]["name"]) in names
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        for volume in (one for one in pod["volumes"] if "emptyDir" not in one):
            assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
    assert job()["metadata"]["namespace"] == "trap"


def test_services_and_policies_select_pods_that_exist_and_their_ports():
    labels = {one["spec"]["template"]["metadata"]["labels"]["app"]: name for name, one in DEPLOYMENTS.items()}

    def ports_of(app):
        pod = DEPLOYMENTS[labels[app]]["spec"]["template"]["spec"]
        return {port["name"]: port["containerPort"] for one in pod["containers"] for port in one.get("ports", [])}

    for service in (part for part in PARTS if part["kind"] == "Service"):
        (port,) = service["spec"]["ports"]
        assert ports_of(service["spec"]["selector"]["app"])[port["targetPort"]] == port["port"]
    guarded = set()
    for policy in (part["spec"] for part in PARTS if part["kind"] == "NetworkPolicy"):
        chosen = policy["podSelector"]
        apps = [chosen["matchLabels"]["app"]] if "matchLabels" in chosen else chosen["matchExpressions"][0]["values"]
        guarded |= set(apps)
        for rule in policy.get("ingress", []):
            assert all(port["port"] in ports_of(app) for port in rule["ports"] for app in apps)
    assert guarded == set(labels)
    urls = next(part["data"] for part in PARTS if name_of(part) == "ConfigMap trap")
    assert urls["PREFECT_API_URL"] == "http://prefect-server.trap.svc:4200/api"


def test_pods_have_no_more_rights_than_they_need():
    for name, pod in pods().items():
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 1000), name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["enableServiceLinks"] is False, name
        assert pod.get("automountServiceAccountToken", True) is (name == "trap-worker"), name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            # What is written goes to volumes.
            assert {"/tmp", "/home/trap"} <= {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108
            assert container["resources"]["requests"]["memory"], name
            assert container["resources"]["limits"]["memory"], name
    (role,) = (part for part in PARTS if part["kind"] == "Role")
    assert {resource for rule in role["rules"] for resource in rule["resources"]}.isdisjoint({"secrets", "*"})
    assert all("*" not in rule["verbs"] for rule in role["rules"])


def test_every_deployment_has_probes_at_its_ports():
    for name, one in DEPLOYMENTS.items():
        (container,) = one["spec"]["template"]["spec"]["containers"]
        probes = [container[kind] for kind in ("startupProbe", "livenessProbe", "readinessProbe") if kind in container]
        assert probes, name
        ports = {port["name"] for port in container.get("ports", [])}
        assert all(probe["httpGet"]["port"] in ports for probe in probes if "httpGet" in probe)


@pytest.mark.parametrize("name", ["trap-worker", "trap-watcher", "trap-pages"])
def test_commands_of_the_pods_are_valid(name):
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    (settings,) = (part["data"] for part in PARTS if name_of(part) == "ConfigMap trap")
    commands = [container["command"] for container in containers(pod)]
    ours = [command for command in commands if command[0] == "transients"]
    assert ours
    for command in ours:
        words = [word.replace("$(TRAP_DATABASE)", settings["TRAP_DATABASE"]) for word in command[1:]]
        assert make_parser().parse_args(words).handler
