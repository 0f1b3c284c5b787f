//! Session affinity and load balancing.

use super::{Annotation, Kind, Risk, annotation};
use crate::ingress::annotations::Class;

pub(super) const ENTRIES: &[Annotation] = &[
    annotation("affinity", Kind::OneOf(&["cookie"]), "Keeps a client on one endpoint by a cookie.").ingress(),
    annotation(
        "affinity-mode",
        Kind::OneOf(&["balanced", "persistent"]),
        "balanced moves some sessions when endpoints change, persistent none while the endpoint lives.",
    )
    .default("balanced")
    .ingress()
    .risk(Risk::Medium),
    annotation(
        "affinity-canary-behavior",
        Kind::OneOf(&["sticky", "legacy"]),
        "On a canary: whether its choice follows the session (sticky) or is made for each request (legacy).",
    )
    .default("sticky")
    .ingress(),
    annotation("session-cookie-name", Kind::Chars(Class::Basic), "Name of the cookie.")
        .default("INGRESSCOOKIE")
        .ingress()
        .risk(Risk::Medium),
    annotation("session-cookie-path", Kind::Chars(Class::Url), "Path of the cookie; the Ingress path when not set.")
        .ingress()
        .risk(Risk::Medium),
    annotation("session-cookie-domain", Kind::Chars(Class::Basic), "Domain of the cookie.").ingress().risk(Risk::Medium),
    annotation("session-cookie-max-age", Kind::Int, "Max-Age of the cookie in seconds; a session cookie when not set.")
        .ingress()
        .risk(Risk::Medium),
    annotation("session-cookie-expires", Kind::Int, "Expires of the cookie, in seconds from now.")
        .ingress()
        .risk(Risk::Medium),
    annotation("session-cookie-secure", Kind::Bool, "true always marks the cookie Secure; else it is Secure over https only.")
        .ingress(),
    annotation(
        "session-cookie-samesite",
        Kind::OneOf(&["None", "Lax", "Strict"]),
        "SameSite of the cookie; written only when spelled exactly like this.",
    )
    .ingress(),
    annotation(
        "session-cookie-conditional-samesite-none",
        Kind::Bool,
        "Leaves SameSite=None out for browsers that misunderstand it.",
    )
    .default("false")
    .ingress(),
    annotation(
        "session-cookie-change-on-failure",
        Kind::Bool,
        "After a failed try another endpoint answers and the cookie changes.",
    )
    .default("false")
    .ingress(),
    annotation(
        "load-balance",
        Kind::OneOf(&["round_robin", "ewma", "chash", "chashsubset", "sticky_balanced", "sticky_persistent"]),
        "round_robin or ewma; the other words have annotations of their own and mean round_robin here.",
    )
    .setting("load-balance", "round_robin")
    .refuses(),
    annotation(
        "upstream-hash-by",
        Kind::Spaced(Class::Variables),
        "Consistent hashing over this text with variables such as $request_uri or $http_x_user.",
    )
    .risk(Risk::High)
    .refuses(),
    annotation("upstream-hash-by-subset", Kind::Bool, "The hash chooses a subset, then a random member of it.")
        .default("false")
        .refuses(),
    annotation("upstream-hash-by-subset-size", Kind::Int, "Endpoints in one subset.").default("3").refuses(),
];
