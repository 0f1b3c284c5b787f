//! Hosts, routes and canaries.

use headgate_console::model::{
    CanaryBackend, CanaryRow, Endpoint, ExplainForm, FindingsFilter, HostRow, RouteBackend,
    RoutePage, RouteRow,
};

use super::overview::{rate_of, series, traffic};
use super::reports;

const NAMES: [&str; 10] = [
    "api.shop.example",
    "www.shop.example",
    "cart.shop.example",
    "checkout.shop.example",
    "*.tenants.shop.example",
    "images.shop.example",
    "admin.shop.example",
    "status.shop.example",
    "legacy.shop.example",
    "_",
];
const PATHS: [(&str, &str, &str); 3] = [
    ("/", "Prefix", "web"),
    ("/products", "Prefix", "products"),
    ("/users/[0-9]+", "RegularExpression", "users"),
];

pub(super) fn host(at: usize) -> HostRow {
    let name = NAMES.get(at).map_or_else(
        || format!("tenant-{at:05}.apps.example"),
        |name| (*name).to_owned(),
    );
    HostRow {
        aliases: if at == 1 {
            vec!["shop.example".into()]
        } else {
            Vec::new()
        },
        listeners: if at == 6 {
            vec!["Gateway ingress/internal: https".into()]
        } else {
            Vec::new()
        },
        routes: PATHS.len(),
        redirects_to: (at == 8).then(|| "www.shop.example".into()),
        tls: ["own", "own", "default", "none"][at % 4].into(),
        certificate: (at % 4 < 2).then(|| "shop/wildcard-tls".into()),
        traffic: Some(traffic(rate(at))),
        name,
    }
}

fn rate(at: usize) -> f64 {
    match at % 10 {
        7 => 0.0,
        _ => 640.0 / (at as f64 + 1.0),
    }
}

pub(super) fn routes(at: usize, host: &str) -> impl Iterator<Item = RouteRow> {
    PATHS
        .into_iter()
        .enumerate()
        .map(move |(number, (path, path_type, service))| RouteRow {
            id: format!("{at:x}{number:02x}9c41"),
            host: host.to_owned(),
            path: path.into(),
            path_type: path_type.into(),
            conditions: if number == 2 {
                "header X-Version: 2".into()
            } else {
                String::new()
            },
            kind: if at == 6 { "HTTPRoute" } else { "Ingress" }.into(),
            namespace: ["shop", "payments", "platform"][at % 3].into(),
            name: format!("{service}-{at}"),
            service: format!("{service}:80"),
            target: "forward".into(),
            closed: (at == 3 && number == 2)
                .then(|| "auth-secret: the Secret shop/passwords does not exist".into()),
            alternatives: usize::from(number == 1),
            ready_endpoints: if at % 5 == 2 { 1 } else { 3 },
            endpoints: 3,
            traffic: (at % 12 != 11).then(|| traffic(rate(at) / (number as f64 + 1.0))),
        })
}

pub(super) fn route_page(route: &RouteRow) -> RoutePage {
    let form = ExplainForm {
        url: format!("https://{}{}", route.host, route.path),
        ..ExplainForm::default()
    };
    let findings = reports::findings(&FindingsFilter::default()).findings;
    RoutePage {
        route: route.clone(),
        facts: vec![
            "rewrite /users/[0-9]+ to /v2/$1".into(),
            "limit 10 requests a second, burst 50".into(),
            "read timeout 75 s".into(),
        ],
        recent: series(60, 10, rate_of(route)),
        backends: vec![
            RouteBackend {
                name: format!("{}/products/80", route.namespace),
                role: "primary".into(),
                share: Some(0.9),
                protocol: "HTTP".into(),
                balance: "round robin".into(),
                requests: 14,
                pending: 1,
                problem: String::new(),
                endpoints: vec![
                    endpoint("10.244.1.17:8080", "sound", 0.5),
                    endpoint("10.244.2.9:8080", "failing", 0.5),
                    endpoint("10.244.3.4:8080", "ejected", 0.0),
                ],
            },
            RouteBackend {
                name: format!("{}/products-canary/80", route.namespace),
                role: "canary".into(),
                share: Some(0.1),
                protocol: "HTTP".into(),
                balance: "hash of $request_uri".into(),
                problem: "the Service has no ready endpoint".into(),
                ..RouteBackend::default()
            },
        ],
        explained: Some(reports::explained(&form)),
        findings: findings.items.into_iter().take(2).collect(),
    }
}

fn endpoint(address: &str, state: &str, share: f64) -> Endpoint {
    let is_sound = state == "sound";
    Endpoint {
        address: address.into(),
        state: state.into(),
        detail: if is_sound {
            String::new()
        } else {
            "2 of 3 failures in a row: connection refused".into()
        },
        failures: (!is_sound).then_some(2),
        left_out_seconds: (state == "ejected").then_some(27),
        share: Some(share),
        connections: if is_sound { 6 } else { 0 },
        average_seconds: is_sound.then_some(0.0038),
    }
}

pub(super) fn canaries(routes: &[RouteRow]) -> Vec<CanaryRow> {
    let split = routes.iter().filter(|route| route.alternatives > 0).take(3);
    split.map(canary).collect()
}

fn canary(route: &RouteRow) -> CanaryRow {
    let rate = rate_of(route);
    let mut of_canary = traffic(rate * 0.087);
    of_canary.p99_seconds = Some(0.31);
    of_canary.server_error_share = Some(0.024);
    CanaryRow {
        route: route.id.clone(),
        host: route.host.clone(),
        path: route.path.clone(),
        kind: route.kind.clone(),
        namespace: route.namespace.clone(),
        name: route.name.clone(),
        window_seconds: 600,
        backends: vec![
            CanaryBackend {
                name: format!("{}/products/80", route.namespace),
                role: "primary".into(),
                configured_share: 0.9,
                actual_share: (rate > 0.0).then_some(0.913),
                ready_endpoints: 3,
                endpoints: 3,
                traffic: Some(traffic(rate * 0.913)),
                ..CanaryBackend::default()
            },
            CanaryBackend {
                name: format!("{}/products-canary/80", route.namespace),
                role: "canary".into(),
                configured_share: 0.1,
                rules: vec![
                    "X-Canary: always selects it".into(),
                    "cookie canary: always selects it".into(),
                ],
                actual_share: (rate > 0.0).then_some(0.087),
                ready_endpoints: 1,
                endpoints: 2,
                traffic: Some(of_canary),
            },
        ],
    }
}
