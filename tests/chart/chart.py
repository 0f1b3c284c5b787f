"""The chart, rendered by Helm, as objects."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import helm_python as helm
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "headgate"
RELEASE = "headgate"
NAMESPACE = "edge"


@lru_cache
def _chart() -> helm.Chart:
    return helm.Chart.load(CHART)


@dataclass
class Rendered:
    """All objects of one rendering, and its notes."""

    objects: list
    notes: str

    def of(self, kind: str, name: str | None = None, namespace: str | None = None) -> list:
        """Objects of a kind, in the order of the templates, without those of the uninstallation."""
        return [
            found
            for found in self.objects
            if found["kind"] == kind
            and hook(found) != "pre-delete"
            and name in (None, found["metadata"]["name"])
            and namespace in (None, found["metadata"].get("namespace"))
        ]

    def of_uninstallation(self, kind: str) -> dict | None:
        """The object of this kind that exists while a release is deleted, if any."""
        found = [one for one in self.objects if one["kind"] == kind and hook(one) == "pre-delete"]
        assert len(found) <= 1
        return found[0] if found else None

    def one(self, kind: str, name: str | None = None, namespace: str | None = None) -> dict:
        """The only such object."""
        found = self.of(kind, name, namespace)
        assert len(found) == 1, f"{len(found)} objects {kind} {name}: {sorted(map(identity, self.objects))}"
        return found[0]

    def pod(self) -> dict:
        """The controller's Pod template's spec."""
        workloads = self.of("Deployment") + self.of("DaemonSet")
        (pod,) = [
            one["spec"]["template"]["spec"]
            for one in workloads
            if one["metadata"]["labels"]["app.kubernetes.io/component"] == "controller"
        ]
        return pod

    def container(self) -> dict:
        """The controller's container."""
        return self.pod()["containers"][0]

    def flags(self) -> dict:
        """The controller's flags by name; without a value, the value is empty."""
        command, *flags = self.container()["args"]
        assert command == "controller"
        assert all(flag.startswith("--") for flag in flags)
        pairs = [flag.removeprefix("--").partition("=") for flag in flags]
        assert len({name for name, _, _ in pairs}) == len(pairs), f"repeated flag: {flags}"
        return {name: value for name, _, value in pairs}


def hook(found: dict) -> str | None:
    """When Helm creates an object that is not of a release."""
    return found["metadata"].get("annotations", {}).get("helm.sh/hook")


def controller(suffix: str = "") -> str:
    """Name of an object of the controller, with the release name of these tests."""
    return f"{RELEASE}-controller{suffix}"


def identity(found: dict) -> str:
    """Kind and name of an object, for messages."""
    return f"{found['kind']} {found['metadata'].get('namespace', '')}/{found['metadata']['name']}"


def values(text: str) -> dict:
    """Values as a user writes them, in YAML."""
    return yaml.safe_load(text) or {}


def render(text: str = "", release: str = RELEASE) -> Rendered:
    """The chart with these values (YAML)."""
    return _rendered(json.dumps(values(text)), release)


@lru_cache
def _rendered(encoded: str, release: str) -> Rendered:
    files = _chart().render(json.loads(encoded), name=release, namespace=NAMESPACE)
    notes = files.pop("headgate/templates/NOTES.txt")
    documents = [document for text in files.values() for document in yaml.safe_load_all(text)]
    return Rendered([document for document in documents if document], notes)


def rejected(text: str) -> str:
    """The message with which these values are rejected."""
    try:
        _chart().render(values(text), name=RELEASE, namespace=NAMESPACE)
    except (helm.HelmValuesError, helm.HelmRenderError) as error:
        return str(error)
    raise AssertionError(f"accepted: {text}")
