"""IngressClass, settings, webhook, and running beside ingress-nginx."""

from chart import NAMESPACE, controller, render


def test_defaults_are_those_of_ingress_nginx() -> None:
    rendered = render()
    assert rendered.one("IngressClass")["spec"] == {"controller": "k8s.io/ingress-nginx"}
    assert rendered.one("IngressClass")["metadata"]["name"] == "nginx"
    flags = rendered.flags()
    assert flags["controller-class"] == "k8s.io/ingress-nginx" and flags["ingress-class"] == "nginx"


def test_aliases_share_the_controller_but_not_the_default() -> None:
    rendered = render("{controller: {ingressClassResource: {default: true, aliases: [old], annotations: {a: b}}}}")
    annotations = {one["metadata"]["name"]: one["metadata"]["annotations"] for one in rendered.of("IngressClass")}
    assert annotations == {"nginx": {"ingressclass.kubernetes.io/is-default-class": "true", "a": "b"}, "old": {"a": "b"}}


def test_settings_of_the_class() -> None:
    named = "kind: ConfigMap, name: a, namespace: b, scope: Namespace"
    for parameters in (f"{{{named}}}", f"{{apiGroup: '', {named}}}"):
        rendered = render(f"{{controller: {{ingressClassResource: {{parameters: {parameters}}}}}}}")
        # The API server rejects an empty group.
        assert "apiGroup" not in rendered.one("IngressClass")["spec"]["parameters"]
    other = render("{controller: {ingressClassResource: {parameters: {apiGroup: example.com, kind: Settings, name: a}}}}")
    assert other.one("IngressClass")["spec"]["parameters"]["apiGroup"] == "example.com"


def test_no_class_object_if_switched_off() -> None:
    assert not render("{controller: {ingressClassResource: {enabled: false}}}").of("IngressClass")


def test_settings() -> None:
    values = "{controller: {config: {a: 1.5, b: true, c: '{{ .Release.Name }}', d: null}, addHeaders: {X: 1}, proxySetHeaders: {Y: z}, allowSnippetAnnotations: true}}"
    rendered = render(values)
    assert rendered.one("ConfigMap", controller())["data"] == {
        "a": "1.5",
        "b": "true",
        "c": "headgate",
        "allow-snippet-annotations": "true",
        "add-headers": f"{NAMESPACE}/headgate-custom-add-headers",
        "proxy-set-headers": f"{NAMESPACE}/headgate-custom-proxy-headers",
    }
    assert rendered.one("ConfigMap", "headgate-custom-add-headers")["data"] == {"X": "1"}
    assert rendered.one("ConfigMap", "headgate-custom-proxy-headers")["data"] == {"Y": "z"}
    assert rendered.flags()["configmap"] == f"$(POD_NAMESPACE)/{controller()}"


def test_beside_ingress_nginx_its_objects_are_not_created() -> None:
    rendered = render("{dropIn: {enabled: true, namespace: old}, controller: {config: {a: b}, addHeaders: {X: y}}}")
    assert not rendered.of("IngressClass") and not rendered.of("ConfigMap")
    flags = rendered.flags()
    assert flags["configmap"] == "old/ingress-nginx-controller"
    assert flags["controller-class"] == "k8s.io/ingress-nginx" and flags["ingress-class"] == "nginx"
    assert flags["election-id"] == "ingress-nginx-leader"
    assert "settings of old/ingress-nginx-controller apply" in rendered.notes


def test_beside_ingress_nginx_status_is_written_only_if_enabled() -> None:
    quiet = render("{dropIn: {enabled: true}}")
    assert quiet.flags()["update-status"] == "false" and quiet.flags()["disable-leader-election"] == "true"
    assert not quiet.of("ValidatingWebhookConfiguration") and not [name for name in quiet.flags() if "webhook" in name]
    writing = render("{dropIn: {enabled: true, status: true}}")
    assert not {"update-status", "disable-leader-election"} & writing.flags().keys()
    assert writing.one("ValidatingWebhookConfiguration")["webhooks"][0]["failurePolicy"] == "Fail"


def test_a_release_of_another_name() -> None:
    flags = render("{dropIn: {enabled: true, fullname: front-ingress-nginx}}").flags()
    assert flags["configmap"] == "$(POD_NAMESPACE)/front-ingress-nginx-controller"
    assert flags["election-id"] == "front-ingress-nginx-leader"


def test_object_names_of_ingress_nginx_can_be_kept() -> None:
    rendered = render("{nameOverride: ingress-nginx}", release="ingress-nginx")
    names = {
        found["metadata"]["name"]
        for found in rendered.objects
        if found["kind"] in ("Deployment", "Service", "ConfigMap", "ServiceAccount")
        and "helm.sh/hook" not in found["metadata"].get("annotations", {})
    }
    assert names == {"ingress-nginx-controller", "ingress-nginx-controller-admission", "ingress-nginx"}


def test_the_webhook_reviews_only_the_watched_namespace() -> None:
    def selector(values: str) -> dict | None:
        return render(values).one("ValidatingWebhookConfiguration")["webhooks"][0].get("namespaceSelector")

    assert selector("") is None
    assert selector("{controller: {scope: {enabled: true, namespace: shop}}}") == {
        "matchLabels": {"kubernetes.io/metadata.name": "shop"}
    }
    own = "{controller: {scope: {enabled: true}, admissionWebhooks: {namespaceSelector: {matchLabels: {a: b}}}}}"
    assert selector(own) == {"matchLabels": {"a": "b"}}


def test_certificate_of_the_webhook() -> None:
    def flags(values: str) -> dict:
        return {name: value for name, value in render(values).flags().items() if name.startswith("validating-webhook")}

    own = {
        "validating-webhook": ":8443",
        "validating-webhook-secret": "$(POD_NAMESPACE)/headgate-admission",
        "validating-webhook-configuration": "headgate-admission",
        "validating-webhook-service": "$(POD_NAMESPACE)/headgate-controller-admission",
    }
    assert flags("") == own
    copied = "{controller: {admissionWebhooks: {certificate: /usr/local/certificates/cert, key: /usr/local/certificates/key}}}"
    assert flags(copied) == own, "a copied values file of ingress-nginx changes nothing"
    assert flags("{controller: {admissionWebhooks: {certificate: /a, key: /b, port: 9443}}}") == {
        "validating-webhook": ":9443",
        "validating-webhook-certificate": "/a",
        "validating-webhook-key": "/b",
    }
    managed = render("{controller: {admissionWebhooks: {certManager: {enabled: true}}}}")
    assert managed.flags()["validating-webhook-certificate"] == "/usr/local/certificates/tls.crt"
    annotations = managed.one("ValidatingWebhookConfiguration")["metadata"]["annotations"]
    assert annotations["cert-manager.io/inject-ca-from"] == f"{NAMESPACE}/headgate-admission"
    assert (
        managed.one("Certificate", "headgate-admission")["spec"]["dnsNames"][-1]
        == f"headgate-controller-admission.{NAMESPACE}.svc"
    )
    assert flags("{controller: {admissionWebhooks: {enabled: false}}}") == {}


def test_clients_of_the_webhook() -> None:
    given = "clientCA: {configMap: api-clients, key: bundle.pem}"
    rendered = render(f"{{controller: {{admissionWebhooks: {{{given}}}}}}}")
    assert rendered.flags()["validating-webhook-client-ca"] == "/etc/headgate/webhook-clients/bundle.pem"
    assert {"name": "webhook-clients", "configMap": {"name": "api-clients"}} in rendered.pod()["volumes"]
    mounted = {one["name"]: one["mountPath"] for one in rendered.container()["volumeMounts"]}
    assert mounted["webhook-clients"] == "/etc/headgate/webhook-clients"
    without = render(f"{{controller: {{admissionWebhooks: {{enabled: false, {given}}}}}}}")
    assert "webhook-clients" not in str(without.pod())
