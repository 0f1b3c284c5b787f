"""openapi.json against the responses: every path, and every field of every schema. Needs no browser."""

from urllib.parse import quote

import jsonschema
import pytest


@pytest.fixture(scope="module")
def document(invented):
    return invented.json("/openapi.json")


def responses(site):
    """Responses of every path; together they have every field."""
    route = site.json("/canaries")["items"][0]
    url = quote("https://a.tenants.shop.example/", safe="")
    paths = {
        "/": ["/"],
        "/routes": ["/routes?limit=20"],
        "/routes/{id}": [f"/routes/{route['route']}"],
        "/hosts": ["/hosts"],
        "/hosts/{name}": [f"/hosts/{route['host']}"],
        "/canaries": ["/canaries"],
        "/findings": ["/findings", "/findings?severity=error"],
        "/certificates": ["/certificates"],
        "/explain": [f"/explain?url={url}", f"/explain?url={url}&method=DELETE"],
        "/live": ["/live"],
        "/check": ["/check"],
        "/annotations/{name}": ["/annotations/canary-weight"],
    }
    return {path: [site.json(one) for one in some] for path, some in paths.items()}


def closed(schema):
    """The schema of nothing but the fields that it has."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


def test_every_path_and_field(invented, document):
    components = closed(document["components"])
    found = responses(invented)
    assert set(found) == set(document["paths"])
    for path, bodies in found.items():
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator = jsonschema.Draft202012Validator({**closed(schema), "components": components})
        for body in bodies:
            errors = [f"{path}{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
            assert errors == []


def test_errors(invented, document):
    from urllib.error import HTTPError

    validator = jsonschema.Draft202012Validator(closed(document["components"]["schemas"]["Error"]))
    import json

    for path, status in {"/nothing": 404, "/routes?limit=0": 400, "/explain": 400}.items():
        with pytest.raises(HTTPError) as raised:
            invented.json(path)
        assert raised.value.code == status
        validator.validate(json.load(raised.value))


def test_every_field_is_described(document):
    undescribed = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items() if name != "Error"
        for field, value in schema.get("properties", {}).items() if "description" not in value
    ]
    assert undescribed == []
