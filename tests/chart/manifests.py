"""Makes charts/manifests/headgate.yaml, for those without Helm, from the chart's defaults."""

import re

import helm_python as helm

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

# Labels that say that Helm manages an object.
OF_HELM = re.compile(r"^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", flags=re.M)


def text() -> str:
    """The text of the file."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render({}, name=NAME, namespace=NAME)
    kept = [content for name, content in sorted(files.items()) if not name.endswith("NOTES.txt") and "/tests/" not in name]
    documents = [document.strip("\n") for content in kept for document in re.split(r"^---$", content, flags=re.M)]
    return "---\n".join([HEAD, *(OF_HELM.sub("", document + "\n") for document in documents if document.strip())])


def main() -> None:
    FILE.write_text(text())


if __name__ == "__main__":
    main()
