//! FastCGI backends.

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, keys, types};

keys! { Annotation {
    FASTCGI_INDEX: String =
        annotation("fastcgi-index", types::chars(Class::FileName), "Index file of a FastCGI backend.")
            .risk(Risk::Medium).refuses().not_yet();
    FASTCGI_PARAMS_CONFIGMAP: String =
        annotation("fastcgi-params-configmap", types::chars(Class::Basic),
            "ConfigMap with parameters of a FastCGI backend.")
            .risk(Risk::Medium).refuses().names(ObjectKind::ConfigMap).not_yet();
} }
