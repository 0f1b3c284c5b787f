//! Small values for this crate's tests.

use std::sync::Arc;

use crate::{Backend, HttpsRedirect, Origin, PathKind, Route, Slot, Split, Target, UpstreamKey};

pub(crate) fn route(kind: PathKind, path: &str) -> Arc<Route> {
    let name = |text: &str| Arc::from(text);
    Arc::new(Route {
        path: path.into(),
        kind,
        rule: None,
        origin: Arc::new(Origin {
            kind: "Object",
            namespace: name("shop"),
            name: name("web"),
            service: name("web"),
            port: name("80"),
        }),
        policy: Arc::default(),
        https: HttpsRedirect::Never,
        rewrite: None,
        error_pages: None,
        target: Target::Forward(Split::new(Backend::upstream_only(UpstreamKey::new(
            "shop/web/80",
        )))),
        sets_affinity_cookie: false,
        slot: Slot::default(),
    })
}
