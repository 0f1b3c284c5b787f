"""Permissions: those that the controller uses, and no others."""

import pytest

from chart import NAMESPACE, Rendered, render

TABLE = {
    ("", "services"): "list watch",
    ("", "configmaps"): "list watch",
    ("", "secrets"): "list watch",
    ("discovery.k8s.io", "endpointslices"): "list watch",
    ("networking.k8s.io", "ingresses"): "list watch",
    ("networking.k8s.io", "ingresses/status"): "patch",
    ("events.k8s.io", "events"): "create patch",
}
CLASSES = {("networking.k8s.io", "ingressclasses"): "list watch"}
OWN = {
    ("coordination.k8s.io", "leases"): "create",
    ("coordination.k8s.io", "leases", "headgate-leader"): "get update watch",
    ("", "pods"): "get list",
    ("", "secrets"): "create",
    ("", "secrets", "headgate-admission"): "get update",
}
WEBHOOK = {("admissionregistration.k8s.io", "validatingwebhookconfigurations", "headgate-admission"): "get patch watch"}
EVENTS = {("events.k8s.io", "events"): "create patch"}


def permissions(role: dict) -> dict:
    """A role's verbs by group, resource and, if it is limited to one, name."""
    found: dict = {}
    for rule in role["rules"]:
        assert len(rule.get("resourceNames", [])) <= 1
        for resource in rule["resources"]:
            key = (rule["apiGroups"][0], resource, *rule.get("resourceNames", []))
            assert key not in found, f"{key} is repeated"
            found[key] = " ".join(rule["verbs"])
    return found


def everywhere(rendered: Rendered, name: str = "headgate") -> dict:
    """Permissions in the whole cluster."""
    found = rendered.of("ClusterRole", name)
    return permissions(found[0]) if found else {}


def within(rendered: Rendered, namespace: str) -> dict:
    """Permissions in a namespace."""
    found = rendered.of("Role", "headgate", namespace)
    return permissions(found[0]) if found else {}


def without(table: dict, *resources: str) -> dict:
    return {key: verbs for key, verbs in table.items() if key[1] not in resources}


def test_the_whole_cluster() -> None:
    rendered = render()
    assert everywhere(rendered) == TABLE | CLASSES
    assert everywhere(rendered, "headgate-admission") == WEBHOOK
    assert within(rendered, NAMESPACE) == OWN
    assert len(rendered.of("Role")) == 1 and len(rendered.of("ClusterRole")) == 2


def test_only_the_namespace_of_the_release() -> None:
    rendered = render("{controller: {scope: {enabled: true}}}")
    assert everywhere(rendered) == CLASSES
    role = rendered.one("Role")
    assert {key: verbs for key, verbs in merged(role).items()} == TABLE | {
        key: verbs for key, verbs in OWN.items() if key != ("", "secrets")
    } | {("", "secrets"): "create list watch"}


def merged(role: dict) -> dict:
    """As `permissions`, where several rules may have the same key."""
    found: dict = {}
    for rule in role["rules"]:
        for resource in rule["resources"]:
            found.setdefault((rule["apiGroups"][0], resource, *rule.get("resourceNames", [])), set()).update(rule["verbs"])
    order = ["create", "get", "list", "update", "patch", "watch", "delete"]
    return {key: " ".join(sorted(verbs, key=order.index)) for key, verbs in found.items()}


def test_one_other_namespace() -> None:
    rendered = render("{controller: {scope: {enabled: true, namespace: shop}}}")
    assert everywhere(rendered) == CLASSES
    assert within(rendered, "shop") == TABLE
    published = {("", "services", "headgate-controller"): "list watch"}
    assert within(rendered, NAMESPACE) == OWN | EVENTS | published | {("", "configmaps"): "list watch"}


def test_no_permissions_for_the_whole_cluster() -> None:
    rendered = render("{rbac: {scope: true}, controller: {scope: {enabled: true, namespace: shop}}}")
    assert [role["metadata"]["name"] for role in rendered.of("ClusterRole")] == ["headgate-admission"]
    assert within(rendered, "shop") == TABLE
    assert "IngressClasses cannot be read" in rendered.notes


def test_settings_and_published_service_of_other_namespaces() -> None:
    rendered = render(
        "{controller: {scope: {enabled: true, namespace: shop}, configMapNamespace: conf, publishService: {pathOverride: lb/front}}}"
    )
    assert within(rendered, "conf") == {("", "configmaps"): "list watch"}
    assert within(rendered, "lb") == {("", "services", "front"): "list watch"}


def test_objects_that_flags_name() -> None:
    flags = "{default-backend-service: pages/errors, default-ssl-certificate: tls/wildcard}"
    rendered = render(f"{{controller: {{scope: {{enabled: true}}, extraArgs: {flags}}}}}")
    assert within(rendered, "pages") == {
        ("", "services", "errors"): "list watch",
        ("discovery.k8s.io", "endpointslices"): "list watch",
    }
    assert within(rendered, "tls") == {("", "secrets", "wildcard"): "list watch"}
    own = render(
        "{controller: {scope: {enabled: true, namespace: shop}}, defaultBackend: {enabled: true, image: {image: pages}}}"
    )
    assert ("", "services", "headgate-defaultbackend") in within(own, NAMESPACE)
    assert len(render(f"{{controller: {{extraArgs: {flags}}}}}").of("Role")) == 1, "all namespaces are watched anyway"


def test_topology_aware_routing() -> None:
    rendered = render("{dropIn: {enabled: true}, controller: {enableTopologyAwareRouting: true}}")
    assert within(rendered, NAMESPACE) == {("", "pods"): "get"}
    assert everywhere(rendered)[("", "nodes")] == "get"


@pytest.mark.parametrize(
    "values",
    ['{controller: {extraArgs: {update-status: "false"}}}', "{controller: {extraArgs: {update-status: false}}}"],
)
def test_without_status(values: str) -> None:
    rendered = render(values)
    assert everywhere(rendered) == without(TABLE, "ingresses/status") | CLASSES
    assert within(rendered, NAMESPACE) == without(OWN, "pods")


def test_without_elections() -> None:
    rendered = render("{controller: {disableLeaderElection: true}}")
    assert everywhere(rendered) == without(TABLE, "ingresses/status") | CLASSES
    assert within(rendered, NAMESPACE) == without(OWN, "pods", "leases")


def test_beside_ingress_nginx() -> None:
    rendered = render("{dropIn: {enabled: true}}")
    assert everywhere(rendered) == without(TABLE, "ingresses/status") | CLASSES
    assert not rendered.of("Role") and len(rendered.of("ClusterRole")) == 1, "it only reads, and writes Events"
    writing = render("{dropIn: {enabled: true, status: true}}")
    assert ("coordination.k8s.io", "leases", "ingress-nginx-leader") in within(writing, NAMESPACE)


@pytest.mark.parametrize(
    ("values", "verbs"),
    [
        ("{controller: {publishService: {enabled: false}}}", "get"),
        ("{controller: {service: {enabled: false}}}", "get"),
        ("{controller: {publishService: {enabled: false}, extraArgs: {publish-status-address: 192.0.2.1}}}", None),
        ("{controller: {publishService: {enabled: false}, extraArgs: {publish-service: a/b}}}", None),
        ("{controller: {publishService: {enabled: false}, extraArgs: {update-status: false}}}", None),
        ("{controller: {service: {external: {enabled: false}, internal: {enabled: true}}}}", None),
        ("{controller: {enableTopologyAwareRouting: true}}", "get"),
    ],
)
def test_nodes_only_if_their_addresses_are_published(values: str, verbs: str | None) -> None:
    assert everywhere(render(values)).get(("", "nodes")) == verbs


@pytest.mark.parametrize(
    "values",
    ["{controller: {scope: {namespaceSelector: a=b}}}", "{controller: {extraArgs: {watch-namespace-selector: a=b}}}"],
)
def test_namespaces_only_with_a_selector(values: str) -> None:
    assert everywhere(render(values)) == TABLE | CLASSES | {("", "namespaces"): "list watch"}


@pytest.mark.parametrize(
    "values",
    [
        "{controller: {admissionWebhooks: {certManager: {enabled: true}}}}",
        "{controller: {admissionWebhooks: {certificate: /tls/a, key: /tls/b}}}",
        "{controller: {admissionWebhooks: {enabled: false}}}",
    ],
)
def test_another_certificate_needs_no_permissions(values: str) -> None:
    rendered = render(values)
    assert not rendered.of("ClusterRole", "headgate-admission")
    assert within(rendered, NAMESPACE) == without(OWN, "secrets")


def test_another_name_of_the_lease() -> None:
    for values in ("{controller: {electionID: mine}}", "{controller: {extraArgs: {election-id: mine}}}"):
        rendered = render(values)
        assert rendered.flags()["election-id"] == "mine"
        assert ("coordination.k8s.io", "leases", "mine") in within(rendered, NAMESPACE)


def test_bindings_give_the_roles_to_the_account() -> None:
    rendered = render("{serviceAccount: {name: given}, controller: {scope: {enabled: true, namespace: shop}}}")
    subject = [{"kind": "ServiceAccount", "name": "given", "namespace": NAMESPACE}]
    for kind in ("Role", "ClusterRole"):
        roles = {(role["metadata"]["name"], role["metadata"].get("namespace")) for role in rendered.of(kind)}
        bindings = rendered.of(f"{kind}Binding")
        assert {(one["roleRef"]["name"], one["metadata"].get("namespace")) for one in bindings} == roles
        assert all(one["subjects"] == subject and one["roleRef"]["kind"] == kind for one in bindings)
    assert rendered.pod()["serviceAccountName"] == "given"


def test_no_wildcards() -> None:
    rendered = render("{controller: {publishService: {enabled: false}, scope: {namespaceSelector: a=b}}}")
    for role in rendered.of("ClusterRole") + rendered.of("Role"):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
