"""Makes what is kept of the chart as plain files: charts/manifests/headgate.yaml, for those without Helm, from the defaults,
and tests/cluster/roles, the rights under which the controller is tested."""

import re

import helm_python as helm
import yaml

from chart import CHART, ROOT

NAME = "headgate"
FILE = ROOT / "charts" / "manifests" / "headgate.yaml"

HEAD = f"""\
# Headgate with the defaults of its Helm chart, for `kubectl apply -f`. Made by charts/manifests/render; do not edit.
# Set the image to yours first: kubectl apply has no values. With kustomize, put this file among `resources` and the
# image among `images`, under the name `{NAME}`.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAME}
  labels:
    app.kubernetes.io/name: {NAME}
    pod-security.kubernetes.io/enforce: restricted
"""

# Roles by values: what the flags of a tested controller ask for is what these values render.
ROLES = ROOT / "tests" / "cluster" / "roles"
CASES = {
    "everywhere": {},
    "one-namespace": {"controller": {"scope": {"enabled": True, "namespace": "shop"}}},
    "selected-namespaces": {"controller": {"scope": {"namespaceSelector": "team=shop"}}},
    "nodes": {"controller": {"publishService": {"enabled": False}}},
}
ROLES_HEAD = """\
# The roles of the chart for this case. Made by charts/manifests/render; do not edit.
"""

# Labels that say that Helm manages an object.
OF_HELM = re.compile(r"^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", flags=re.M)


def text() -> str:
    """The text of the file."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render({}, name=NAME, namespace=NAME)
    kept = [content for name, content in sorted(files.items()) if not name.endswith("NOTES.txt") and "/tests/" not in name]
    documents = [document.strip("\n") for content in kept for document in re.split(r"^---$", content, flags=re.M)]
    return "---\n".join([HEAD, *(OF_HELM.sub("", document + "\n") for document in documents if document.strip())])


def roles(case: str) -> str:
    """The text of a file of roles."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render(CASES[case], name=NAME, namespace=NAME)
    texts = [text for name, text in files.items() if "/rbac-" in name]
    found = [one for text in texts for one in yaml.safe_load_all(text) if one]
    for one in found:
        del one["metadata"]["labels"]
    return ROLES_HEAD + yaml.safe_dump_all(found, sort_keys=False)


def main() -> None:
    FILE.write_text(text())
    ROLES.mkdir(exist_ok=True)
    for case in CASES:
        (ROLES / f"{case}.yaml").write_text(roles(case))


if __name__ == "__main__":
    main()
