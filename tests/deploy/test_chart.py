"""The chart, rendered by Helm for many sets of values: each object is valid, and they fit together.

No cluster takes part. `make deploy-tools` brings Helm and the schemas of Kubernetes.
"""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import taskbeacon
from app.config import Settings
from tests.deploy.tools import DeployTools

_ROOT = Path(__file__).parents[2]
_CHART = _ROOT / "deploy/helm/taskbeacon"
_NEWEST_RELEASES = 5
# Of operators, whose schemas are not those of Kubernetes.
_CUSTOM = {"HTTPRoute", "ServiceMonitor", "PodMonitor"}
_DIGEST = "sha256:" + "0" * 64

JSON = dict[str, Any]
yaml: Any = importlib.import_module("yaml")

_LEAST: JSON = {
    "image": {"repository": "registry.example/taskbeacon"},
    "existingSecret": "taskbeacon",
    "networkPolicy": {"to": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/24"}}], "ports": [{"port": 5432}]}]},
}
_TOLERATION = {"key": "agents", "operator": "Exists", "effect": "NoSchedule"}
_FROM_KEDA = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}
_SETS: dict[str, JSON] = {
    "least": {},
    "no policies": {
        "networkPolicy": {"enabled": False, "to": []},
        "podDisruptionBudgets": {"enabled": False},
    },
    "one of each": {"api": {"replicas": 1}, "worker": {"replicas": 1}},
    "scaled": {
        "api": {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 30}},
        "worker": {"replicas": None, "slots": 8},
        "networkPolicy": {"apiFrom": [_FROM_KEDA], "metricsFrom": [_FROM_KEDA]},
    },
    "ingress": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "host": "tasks.example",
            "tlsSecret": "tls",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
        }
    },
    "gateway": {
        "gateway": {
            "enabled": True,
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": ["tasks.example"],
        }
    },
    "monitored": {"monitoring": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "15s"}},
    "bubblewrap": {"worker": {"bubblewrap": True, "sandbox": "bubblewrap"}},
    "gvisor": {"worker": {"runtimeClassName": "gvisor", "allowNoWalls": True, "sandbox": "none"}},
    "landlock": {
        "worker": {"sandbox": "landlock"},
        "config": {"TASKBEACON_AGENT_NETWORK_UNENFORCED": True, "TASKBEACON_S3_REGION": "eu-west-1"},
    },
    "long runs": {
        "worker": {"runTimeoutSeconds": 86400, "disk": "500Gi"},
        "config": {"TASKBEACON_WORKER_STORE_WAIT_SECONDS": 3600},
    },
    "short drain": {"worker": {"drainSeconds": 0}},
    "own images": {
        "image": {"digest": _DIGEST, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "worker": {
            "image": {"repository": "registry.example/taskbeacon-agents", "tag": "7"},
            "existingSecret": "models",
        },
    },
    "placed": {
        "nodeSelector": {"pool": "tasks"},
        "tolerations": [_TOLERATION],
        "podLabels": {"team": "agents", "app.kubernetes.io/component": "not ours"},
        "podAnnotations": {"note": "kept"},
        "api": {"priorityClassName": "high", "affinity": {"podAntiAffinity": {}}},
        "worker": {"priorityClassName": "low", "affinity": {"nodeAffinity": {}}},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/tasks"}},
    },
    "account of others": {
        "serviceAccount": {"create": False, "name": "theirs"},
        "migrations": {"enabled": False},
    },
    "walked": {"test": {"existingSecret": "walker"}, "service": {"type": "LoadBalancer", "port": 8080}},
    "numbers": {
        "config": {
            "TASKBEACON_TASK_TOKEN_BUDGET": 12345678,
            "TASKBEACON_TASK_COST_BUDGET": 2.5,
            "TASKBEACON_CORS_ORIGINS": "https://a.example,https://b.example",
        }
    },
}
_REFUSED: dict[str, tuple[JSON, str]] = {
    "unknown value": ({"replicas": 3}, "replicas"),
    "unknown value of the worker": ({"worker": {"replica": 3}}, "replica"),
    "misspelt setting": ({"config": {"TASKBEACON_S3_BUKET": "a"}}, "TASKBEACON_S3_BUKET"),
    "secret among the settings": ({"config": {"TASKBEACON_SECRET_KEYS": "a" * 32}}, "TASKBEACON_SECRET_KEYS"),
    "setting that the chart sets": ({"config": {"TASKBEACON_PORT": 1}}, "TASKBEACON_PORT"),
    "development": ({"config": {"TASKBEACON_DEVELOPMENT": True}}, "TASKBEACON_DEVELOPMENT"),
    "no slots": ({"worker": {"slots": 0}}, "slots"),
    "digest that is none": ({"image": {"digest": "latest"}}, "digest"),
    "no image": ({"image": {"repository": ""}}, "image.repository"),
    "no secret": ({"existingSecret": ""}, "existingSecret"),
    "no way to the database": ({"networkPolicy": {"to": []}}, "networkPolicy.to"),
    "no walls": ({"worker": {"sandbox": "none"}}, "worker.allowNoWalls"),
    "loosened for nothing": ({"worker": {"bubblewrap": True, "sandbox": "landlock"}}, "worker.bubblewrap"),
    "ingress without a host": ({"ingress": {"enabled": True}}, "ingress.host"),
    "route without a gateway": ({"gateway": {"enabled": True}}, "gateway.parentRefs"),
}


def _merged(below: JSON, above: JSON) -> JSON:
    return below | {
        key: _merged(below[key], value)
        if isinstance(value, dict) and isinstance(below.get(key), dict)
        else value
        for key, value in above.items()
    }


class Chart:
    """Helm with this chart."""

    def __init__(self, tools: DeployTools, folder: Path) -> None:
        self._helm = tools.helm
        self._folder = folder

    def run(self, *verb: str, values: JSON) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._helm), *verb, str(_CHART), "--namespace", "tasks", "--values", "-"],
            input=yaml.safe_dump(_merged(_LEAST, values)),
            env={"HOME": str(self._folder), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def render(self, values: JSON, *, release: str = "tb") -> list[JSON]:
        done = self.run("template", release, values=values)
        assert done.returncode == 0, done.stderr
        return [found for found in yaml.safe_load_all(done.stdout) if found]


@pytest.fixture(scope="module")
def tools() -> DeployTools:
    tools = DeployTools.default()
    if not tools.is_current and not os.environ.get("CI"):
        pytest.skip("Helm is not installed (make deploy-tools)")
    assert tools.is_current, "no Helm: run `make deploy-tools`"
    return tools


@pytest.fixture(scope="module")
def chart(tools: DeployTools, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(tools, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def rendered(chart: Chart) -> dict[str, list[JSON]]:
    """The objects of each set of values."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(_SETS, pool.map(chart.render, _SETS.values()), strict=True))


@pytest.fixture(scope="module")
def validate(tools: DeployTools) -> Iterator[Callable[[JSON], None]]:
    """Refuse what one of the newest releases of Kubernetes would refuse."""
    sys.path.insert(0, str(tools.packages))
    try:
        library: Any = importlib.import_module("kubernetes_validate")
        releases = sorted(
            {
                tuple(map(int, re.findall(r"\d+", folder.name)[:2]))
                for folder in (tools.packages / "kubernetes_validate/kubernetes-json-schema").iterdir()
            }
        )[-_NEWEST_RELEASES:]
        assert releases[-1] >= (1, 37)

        def validate_all(manifest: JSON) -> None:
            for major, minor in releases:
                assert library.validate(manifest, f"{major}.{minor}.0", strict=True) == f"{major}.{minor}"

        yield validate_all
    finally:
        sys.path.remove(str(tools.packages))


def _of_kind(objects: list[JSON], kind: str) -> list[JSON]:
    return [each for each in objects if each["kind"] == kind]


def _pods(objects: list[JSON]) -> dict[str, JSON]:
    """Return metadata and spec of each kind of Pod, by its component."""
    templates = [
        each if each["kind"] == "Pod" else each["spec"].get("template") for each in objects if "spec" in each
    ]
    return {
        template["metadata"]["labels"]["app.kubernetes.io/component"]: template
        for template in templates
        if template
    }


def _containers(pod: JSON) -> list[JSON]:
    containers: list[JSON] = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    return containers


def _variables(container: JSON) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", ())}


def test_every_object_is_valid_for_the_newest_releases_of_kubernetes(
    rendered: dict[str, list[JSON]], validate: Callable[[JSON], None]
) -> None:
    distinct = {json.dumps(each, sort_keys=True): each for objects in rendered.values() for each in objects}
    kinds = set()
    for manifest in distinct.values():
        kinds.add(manifest["kind"])
        if manifest["kind"] not in _CUSTOM:
            validate(manifest)

    assert len(rendered) >= 12
    assert kinds == _CUSTOM | {
        *("Deployment", "Service", "Job", "Pod", "Ingress", "NetworkPolicy", "ServiceAccount"),
        *("HorizontalPodAutoscaler", "PodDisruptionBudget"),
    }
    with pytest.raises(Exception, match="replica"):
        validate({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replica": 1}})


@pytest.mark.parametrize("name", _SETS)
def test_pods_are_locked_down_and_fit_what_selects_them(rendered: dict[str, list[JSON]], name: str) -> None:
    objects = rendered[name]
    pods = _pods(objects)
    assert pods.keys() >= {"api", "worker", "test"}
    for component, pod in pods.items():
        spec = pod["spec"]
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (
            True,
            10001,
        )
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        mounted = {volume["name"] for volume in spec["volumes"]}
        assert all(volume.keys() == {"name", "emptyDir"} for volume in spec["volumes"])
        is_loose = component == "worker" and name == "bubblewrap"
        assert spec.get("hostUsers", True) is not is_loose
        for container in _containers(pod):
            security = container["securityContext"]
            assert security == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "Unconfined" if is_loose else "RuntimeDefault"},
            } | ({"procMount": "Unmasked"} if is_loose else {})
            assert "memory" in container["resources"]["limits"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= mounted
            settings = [variable for variable in _variables(container) if variable.startswith("TASKBEACON_")]
            known = {f"TASKBEACON_{setting.upper()}" for setting in Settings.model_fields}
            assert set(settings) - known <= {"TASKBEACON_URL"}
            assert len(settings) == len(set(settings))
    for selecting in objects:
        spec = selecting.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        selector = selector.get("matchLabels", selector)
        if selector:
            component = selector["app.kubernetes.io/component"]
            if (component, name) != ("migrate", "account of others"):
                assert selector.items() <= pods[component]["metadata"]["labels"].items(), selecting
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names))
    for scaler in _of_kind(objects, "HorizontalPodAutoscaler"):
        assert ("Deployment", scaler["spec"]["scaleTargetRef"]["name"]) in names
    accounts = {each["metadata"]["name"] for each in _of_kind(objects, "ServiceAccount")} | {"theirs"}
    assert {pods[component]["spec"]["serviceAccountName"] for component in ("api", "worker")} <= accounts
    assert all(each["automountServiceAccountToken"] is False for each in _of_kind(objects, "ServiceAccount"))


@pytest.mark.parametrize("name", _SETS)
def test_worker_is_given_the_time_that_its_runs_need_and_checks_its_walls(
    rendered: dict[str, list[JSON]], name: str
) -> None:
    pod = _pods(rendered[name])["worker"]
    walls, worker = _containers(pod)
    variables = _variables(worker)
    drain, longest = (int(variables[f"TASKBEACON_{key}_SECONDS"]) for key in ("WORKER_DRAIN", "RUN_TIMEOUT"))

    assert pod["spec"]["terminationGracePeriodSeconds"] == drain + 30
    store_wait = int(variables.get("TASKBEACON_WORKER_STORE_WAIT_SECONDS", 300))
    assert drain == (0 if name == "short drain" else longest + store_wait + 300)
    assert pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert (walls["image"], walls["securityContext"]) == (worker["image"], worker["securityContext"])
    assert _variables(walls)["TASKBEACON_AGENT_SANDBOX"] == variables["TASKBEACON_AGENT_SANDBOX"]
    if name == "gvisor":
        assert "agents --check ||" in walls["command"][-1]
        assert pod["spec"]["runtimeClassName"] == "gvisor"
    else:
        assert walls["args"] == ["agents", "--check"]
    # It needs no secret to attack itself.
    assert "envFrom" not in walls
    secrets = [source["secretRef"]["name"] for source in worker["envFrom"]]
    assert secrets == ["taskbeacon", *(["models"] if name == "own images" else [])]


def test_values_end_where_they_should(rendered: dict[str, list[JSON]]) -> None:
    images = {
        component: _containers(pod)[-1]["image"] for component, pod in _pods(rendered["own images"]).items()
    }
    assert images == {
        "api": f"registry.example/taskbeacon@{_DIGEST}",
        "migrate": f"registry.example/taskbeacon@{_DIGEST}",
        "test": f"registry.example/taskbeacon@{_DIGEST}",
        "worker": "registry.example/taskbeacon-agents:7",
    }
    deployments = {
        each["metadata"]["name"]: each["spec"] for each in _of_kind(rendered["scaled"], "Deployment")
    }
    assert [("replicas" in spec) for spec in deployments.values()] == [False, False]
    assert _of_kind(rendered["one of each"], "PodDisruptionBudget")[0]["spec"]["maxUnavailable"] == 1
    assert len(_of_kind(rendered["one of each"], "PodDisruptionBudget")) == 1
    assert _of_kind(rendered["no policies"], "NetworkPolicy") == []
    settings = _variables(_containers(_pods(rendered["numbers"])["api"])[0])
    assert settings["TASKBEACON_TASK_TOKEN_BUDGET"] == "12345678"
    assert settings["TASKBEACON_TASK_COST_BUDGET"] == "2.5"
    placed = _pods(rendered["placed"])
    assert all(pod["spec"]["tolerations"] == [_TOLERATION] for pod in placed.values())
    assert placed["worker"]["metadata"]["annotations"]["note"] == "kept"
    [job] = _of_kind(rendered["least"], "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    walk = _containers(_pods(rendered["walked"])["test"])[0]
    assert _variables(walk)["TASKBEACON_URL"] == "http://tb-taskbeacon-api:8080"


def test_metrics_and_readiness_are_not_for_everybody(rendered: dict[str, list[JSON]]) -> None:
    [ingress] = _of_kind(rendered["ingress"], "Ingress")
    [route] = _of_kind(rendered["gateway"], "HTTPRoute")
    by_ingress = {path["path"]: path["pathType"] for path in ingress["spec"]["rules"][0]["http"]["paths"]}
    by_route = {
        match["path"]["value"]: match["path"]["type"].removeprefix("Path")
        for match in route["spec"]["rules"][0]["matches"]
    }
    assert by_ingress == by_route
    assert by_ingress.pop("/") == "Exact"
    assert by_ingress.keys() == {"/api", "/a", "/console", "/docs", "/openapi.json", "/livez"}
    policies = {
        each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: each["spec"]
        for each in _of_kind(rendered["least"], "NetworkPolicy")
    }
    assert policies.keys() == {"api", "worker", "migrate"}
    assert "ingress" not in policies["worker"]
    for policy in policies.values():
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        [open_networks] = [
            peer["ipBlock"]
            for rule in policy["egress"]
            for peer in rule.get("to", ())
            if peer["ipBlock"]["cidr"] == "0.0.0.0/0"
        ] or [{"except": ["169.254.0.0/16", "10.0.0.0/8"]}]
        assert {"169.254.0.0/16", "10.0.0.0/8"} <= set(open_networks["except"])


@pytest.mark.parametrize("wrong", _REFUSED)
def test_wrong_values_are_refused_by_name(chart: Chart, wrong: str) -> None:
    values, told = _REFUSED[wrong]
    done = chart.run("template", "tb", values=values)

    assert done.returncode != 0
    assert told in done.stderr


def test_strict_linter_has_nothing_to_say(chart: Chart) -> None:
    for values in (_SETS["least"], _SETS["placed"], _SETS["gvisor"]):
        done = chart.run("lint", "--strict", values=values)
        assert done.returncode == 0, done.stdout + done.stderr


def test_long_name_of_a_release_makes_no_name_too_long(chart: Chart) -> None:
    names = {each["metadata"]["name"] for each in chart.render({}, release="a" * 53)}
    assert max(map(len, names)) <= 63
    # As the guide calls it.
    assert "taskbeacon-worker" in {
        each["metadata"]["name"] for each in chart.render({}, release="taskbeacon")
    }


def test_schema_knows_each_value_and_each_setting() -> None:
    schema = json.loads((_CHART / "values.schema.json").read_text())
    values = yaml.safe_load((_CHART / "values.yaml").read_text())

    def require_closed(part: JSON, given: JSON, at: str) -> None:
        assert part["additionalProperties"] is False, at
        assert part["properties"].keys() - {"global"} == given.keys(), at
        for key, value in given.items():
            if "properties" in part["properties"][key] and key != "resources":
                require_closed(part["properties"][key], value, f"{at}.{key}")

    require_closed(schema, values, "")
    template = "\n".join(file.read_text() for file in (_CHART / "templates").rglob("*.*"))
    of_chart = set(re.findall(r"- name: (TASKBEACON_\w+)", template)) - {"TASKBEACON_URL"}
    # What the image says, and what is refused in production.
    of_image = {f"TASKBEACON_{name}" for name in ("HOST", "HOME", "WORKSPACES", "AGENTS", "DEVELOPMENT")}
    secrets = {"TASKBEACON_DATABASE_URL", "TASKBEACON_REDIS_URL", "TASKBEACON_S3_ACCESS_KEY_ID"} | {
        f"TASKBEACON_{name}".upper()
        for name, field in Settings.model_fields.items()
        if "Secret" in str(field.annotation)
    }
    every = {f"TASKBEACON_{name}".upper() for name in Settings.model_fields}
    assert (
        set(schema["properties"]["config"]["propertyNames"]["anyOf"][1]["enum"])
        == every - of_chart - of_image - secrets
    )


def test_chart_has_the_version_of_the_service() -> None:
    chart = yaml.safe_load((_CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (taskbeacon.__version__, taskbeacon.__version__)
