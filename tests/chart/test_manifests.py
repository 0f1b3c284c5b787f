"""The rendered manifests are current and complete."""

import pytest
import yaml

import manifests
from chart import hook, identity
from kubernetes_schema import problems


def documents() -> list:
    return list(yaml.safe_load_all(manifests.FILE.read_text()))


def test_the_file_is_current() -> None:
    assert manifests.FILE.read_text() == manifests.text(), "run charts/manifests/render"


@pytest.mark.parametrize("case", manifests.CASES)
def test_the_roles_of_tests_are_current(case: str) -> None:
    assert (manifests.ROLES / f"{case}.yaml").read_text() == manifests.roles(case), "run charts/manifests/render"


def test_all_objects_are_valid() -> None:
    assert not [(identity(found), problems(found, "1.37")) for found in documents() if problems(found, "1.37")]


def test_labels_of_helm_are_removed() -> None:
    for found in documents():
        metadata = found["metadata"]
        assert not [
            key for key in [*metadata.get("labels", {}), *metadata.get("annotations", {})] if key.startswith("helm.sh/")
        ]
        assert "app.kubernetes.io/managed-by" not in metadata.get("labels", {})


def test_the_namespace_comes_first_and_contains_all_objects() -> None:
    first, *rest = documents()
    assert first["kind"] == "Namespace"
    assert {found["metadata"].get("namespace", "headgate") for found in rest} == {"headgate"}


def test_objects_come_after_those_that_they_need() -> None:
    kinds = [found["kind"] for found in documents()]
    assert kinds == sorted(kinds, key=manifests.ORDER.index)
    assert kinds.index("ServiceAccount") < kinds.index("RoleBinding") < kinds.index("Deployment")
    assert kinds[-1] == "ValidatingWebhookConfiguration"


def test_no_object_of_a_hook_is_installed() -> None:
    assert not [identity(found) for found in documents() if found["kind"] == "Job" or hook(found)]
