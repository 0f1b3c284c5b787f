//! Parameters of FastCGI endpoints.

use std::sync::Arc;

use crate::Template;

/// What FastCGI endpoints get besides the parameters of every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FastCgi {
    /// The file that a path ending in a slash stands for, such as `index.php`; default none.
    pub index: Option<Arc<str>>,
    /// Further parameters by name, in their order. One named `HTTP_X` replaces the client's field `X`.
    pub params: Arc<[(Arc<str>, Template)]>,
}
