"""values.yaml, the schema, README.md and the notes agree, and values of ingress-nginx are accepted."""

import shutil
from pathlib import Path

import helm_python as helm
import jsonschema
import pytest
import yaml

import generate
from chart import CHART, NAMESPACE, RELEASE, _chart, render

# Names only; see its first line.
INGRESS_NGINX = [
    line
    for line in (Path(__file__).parent / "ingress-nginx-4.15-values.txt").read_text().splitlines()
    if not line.startswith("#")
]


def test_schema_and_readme_are_current() -> None:
    assert not generate.outdated(), "run tests/chart/generate.py"


def test_every_value_is_described() -> None:
    assert not [".".join(value.path) for value in generate.leaves(generate.read()) if not value.doc]


@pytest.mark.parametrize("name", INGRESS_NGINX)
def test_values_of_ingress_nginx_are_known(name: str) -> None:
    schema = _chart().schema
    for key in name.split("."):
        properties = schema.get("properties", {})
        if schema.get("additionalProperties", True) is not False and key not in properties:
            return
        assert key in properties, f"{name}: {key} is not in the schema"
        schema = properties[key]


def test_values_without_effect_are_named_in_the_notes() -> None:
    described = {".".join(value.path): value.no_effect for value in generate.leaves(generate.read()) if value.no_effect}
    for name, reason in described.items():
        setting: object = (
            {"x": "y"}
            if name.split(".")[-1]
            in ("patch", "createSecretJob", "patchWebhookJob", "customTemplate", "opentelemetry", "podSecurityPolicy")
            else True
        )
        for key in reversed(name.split(".")):
            setting = {key: setting}
        assert f"* {name} has no effect: {reason}." in render(yaml.safe_dump(setting)).notes
    assert "has no effect" not in render().notes


def test_each_value_is_used_or_documented_as_without_effect() -> None:
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    unused = [".".join(value.path) for value in generate.leaves(generate.read()) if value.path[-1] not in templates]
    assert not unused


def test_null_removes_a_default() -> None:
    validator = jsonschema.Draft7Validator(_chart().schema)
    rejected = []
    for value in generate.leaves(generate.read()):
        setting: object = None
        for key in reversed(value.path):
            setting = {key: setting}
        rejected += [".".join(value.path) for _ in validator.iter_errors(setting)]
    assert not rejected


def test_null_is_reused_at_an_upgrade(tmp_path: Path) -> None:
    """With --reuse-values the defaults are those of the former release, from which null has removed keys."""
    removed = ("lifecycle", "sysctls", "maxUnavailable", "tolerations", "resources", "replicaCount")
    chart = shutil.copytree(CHART, tmp_path / CHART.name)
    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    for key in removed:
        del defaults["controller"][key]
    (chart / "values.yaml").write_text(yaml.safe_dump(defaults))
    values = {"controller": dict.fromkeys(removed)}
    former = _chart().render(values, name=RELEASE, namespace=NAMESPACE)
    assert helm.Chart.load(chart).render(values, name=RELEASE, namespace=NAMESPACE) == former


def test_values_of_a_parent_chart_are_accepted() -> None:
    render("{enabled: true, global: {storageClass: fast}}")
