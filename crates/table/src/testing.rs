//! Small values for this crate's tests.

use std::sync::Arc;

use crate::{HttpsRedirect, Origin, PathKind, Route, Slot, Split, Target, UpstreamId};

pub(crate) fn route(kind: PathKind, path: &str) -> Arc<Route> {
    let name = |text: &str| Arc::from(text);
    Arc::new(Route {
        path: path.into(),
        kind,
        origin: Arc::new(Origin {
            namespace: name("shop"),
            ingress: name("web"),
            service: name("web"),
            port: name("80"),
        }),
        policy: Arc::default(),
        https: HttpsRedirect::Never,
        rewrite: None,
        target: Target::Forward(Split {
            primary: UpstreamId::new("shop", "web", "80"),
            canary: None,
            fallback: None,
        }),
        sets_affinity_cookie: false,
        slot: Slot::default(),
    })
}
