"""Validates objects with the OpenAPI schemas of Kubernetes, which a package contains for each version."""

import json
from functools import lru_cache
from importlib.resources import files

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

# API groups of other projects, of which the package has no schemas.
WITHOUT_SCHEMA = {
    "cert-manager.io/v1",
    "keda.sh/v1alpha1",
    "keda.k8s.io/v1alpha1",
    "monitoring.coreos.com/v1",
}


@lru_cache
def _definitions(version: str) -> Registry:
    return Resource.from_contents(_read(version, "_definitions.json")) @ Registry()


def _read(version: str, name: str) -> dict:
    directory = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    return json.loads((directory / name).read_text())


@lru_cache
def _validator(version: str, api_version: str, kind: str) -> Draft202012Validator:
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, [kind.lower(), group.split(".")[0], number]))
    return Draft202012Validator(_read(version, f"{name}.json"), registry=_definitions(version))


def problems(found: dict, version: str) -> list[str]:
    """Errors of an object in this version of Kubernetes, including unknown fields."""
    if found["apiVersion"] in WITHOUT_SCHEMA:
        return []
    errors = _validator(version, found["apiVersion"], found["kind"]).iter_errors(found)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]
