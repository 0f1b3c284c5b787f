"""What happens before a release is deleted."""

import pytest

from chart import NAMESPACE, Rendered, controller, render
from test_rbac import permissions

KINDS = ["ServiceAccount", "Role", "RoleBinding", "Job"]


def present(rendered: Rendered) -> list:
    return [kind for kind in KINDS if rendered.of_uninstallation(kind)]


def test_a_job_stops_the_controllers() -> None:
    rendered = render()
    job = rendered.of_uninstallation("Job")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["stop", f"deployment/{controller()}", f"--namespace={NAMESPACE}", "--timeout=270s"]
    assert container["image"] == rendered.container()["image"]
    assert container["securityContext"] == rendered.container()["securityContext"]
    assert job["spec"]["activeDeadlineSeconds"] < 300, "the timeout of Helm"
    assert pod["serviceAccountName"] == rendered.of_uninstallation("ServiceAccount")["metadata"]["name"]


def test_its_permissions_are_created_before_it_and_deleted_after_it() -> None:
    rendered = render()
    assert permissions(rendered.of_uninstallation("Role")) == {
        ("apps", "deployments/scale", controller()): "patch",
        ("", "pods"): "list",
    }
    annotations = [rendered.of_uninstallation(kind)["metadata"]["annotations"] for kind in KINDS]
    assert [int(one["helm.sh/hook-weight"]) for one in annotations] == [-1, -1, -1, 0]
    for one in annotations:
        assert one["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded,hook-failed"
    subject = rendered.of_uninstallation("RoleBinding")["subjects"][0]
    assert subject["name"] == rendered.of_uninstallation("ServiceAccount")["metadata"]["name"] != "headgate"


def test_its_pod_is_none_of_the_controller() -> None:
    labels = render().of_uninstallation("Job")["spec"]["template"]["metadata"]["labels"]
    for found in render().of("Deployment"):
        assert not found["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_daemonset_is_changed_itself() -> None:
    rendered = render("{controller: {kind: DaemonSet}}")
    assert ("apps", "daemonsets", controller()) in permissions(rendered.of_uninstallation("Role"))
    job = rendered.of_uninstallation("Job")
    assert f"daemonset/{controller()}" in job["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    "values",
    [
        "{controller: {uninstallHook: {enabled: false}}}",
        "{rbac: {create: false}}",
        "{dropIn: {enabled: true}}",
        "{controller: {disableLeaderElection: true}}",
        "{controller: {extraArgs: {update-status: false}}}",
        "{controller: {extraArgs: {update-status-on-shutdown: false}}}",
    ],
)
def test_there_is_none_where_no_status_is_cleared(values: str) -> None:
    assert not present(render(values))
