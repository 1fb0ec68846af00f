"""The dashboard, the alert rules and the scaler of the guide ask for metrics and labels that the service has."""

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
_DEPLOY = _ROOT / "deploy"
_HISTOGRAM = ("_bucket", "_sum", "_count")
_METRIC = re.compile(r"\btaskbeacon_\w+")
_LABELS = re.compile(r"\bby \(([^)]*)\)|\{([^}]*)\}")
_LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")

yaml: Any = importlib.import_module("yaml")


def _labels_by_metric() -> dict[str, set[str]]:
    """Return the labels of each series that the sources make."""
    found = {}
    for source in (_ROOT / "app").rglob("*.py"):
        if "prometheus_client" not in (text := source.read_text()):
            continue
        for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
            match call:
                case ast.Call(ast.Name(kind), [ast.Constant(str(name)), _, *labels]) if _METRIC.match(name):
                    own = set(ast.literal_eval(labels[0])) if labels else set()
                    for suffix in _HISTOGRAM if kind == "Histogram" else ("",):
                        found[name + suffix] = own | ({"le"} if suffix == "_bucket" else set())
    return found


def _queries() -> Iterator[tuple[str, str]]:
    """Yield each query of the files, and the text that shows its labels."""
    board = json.loads((_DEPLOY / "grafana/taskbeacon.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]
    rules = yaml.safe_load((_DEPLOY / "prometheus/alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
            assert rule["labels"]["severity"] in {"warning", "critical"}
            yield rule["expr"], rule["annotations"]["summary"]
    for trigger in _scaled_object()["spec"]["triggers"]:
        yield trigger["metadata"]["valueLocation"], ""


def _scaled_object() -> Any:
    """Return the example of the guide."""
    guide = (_ROOT / "docs/operating/kubernetes.md").read_text()
    (example,) = (
        text
        for text in re.findall(r"^```yaml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
        if "ScaledObject" in text
    )
    return yaml.safe_load(example)


@pytest.mark.parametrize(("query", "shown"), [*_queries()])
def test_query_names_metrics_and_labels_that_exist(query: str, shown: str) -> None:
    known = _labels_by_metric()
    metrics = set(_METRIC.findall(query))

    assert metrics
    assert metrics - known.keys() == set()
    labels = {
        re.split(r"[=!]", part)[0].strip()
        for grouped, matched in _LABELS.findall(query)
        for part in (grouped or matched).split(",")
    }
    labels |= {label for label in _LEGEND.findall(shown) if label != "value"}
    assert [label for label in labels if not any(label in known[metric] for metric in metrics)] == []


def test_panels_do_not_overlap_and_alerts_have_names_of_their_own() -> None:
    board = json.loads((_DEPLOY / "grafana/taskbeacon.json").read_text())
    places = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    rules = yaml.safe_load((_DEPLOY / "prometheus/alerts.yaml").read_text())
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]

    assert len(places) == len(set(places))
    assert len(names) == len(set(names))
