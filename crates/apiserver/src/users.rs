//! Users and their tokens.

use std::collections::HashMap;

use http::HeaderMap;
use serde_json::{Value, json};

use super::failure::Failure;

/// A user with groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

/// Tokens and their users.
#[derive(Debug, Default)]
pub(crate) struct Users {
    tokens: HashMap<String, User>,
}

/// The group with all permissions.
const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";

impl User {
    /// The administrator.
    pub(crate) fn admin() -> Self {
        Self::new("system:admin", &[MASTERS, AUTHENTICATED])
    }

    /// The user of a request without a token.
    pub(crate) fn anonymous() -> Self {
        Self::new("system:anonymous", &["system:unauthenticated"])
    }

    /// A service account.
    pub(crate) fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                AUTHENTICATED.to_owned(),
            ],
        }
    }

    fn new(name: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        }
    }

    /// A user by name, for impersonation.
    fn named(name: &str, groups: Vec<String>) -> Self {
        let parts: Vec<&str> = name.split(':').collect();
        if let ["system", "serviceaccount", namespace, account] = parts.as_slice()
            && groups.is_empty()
        {
            return Self::service_account(namespace, account);
        }
        let mut user = Self::new(name, &[AUTHENTICATED]);
        user.groups.extend(groups);
        user
    }

    /// Whether every request is permitted.
    pub(crate) fn is_admin(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// `userInfo` of reviews.
    pub(crate) fn info(&self) -> Value {
        json!({"username": self.name, "groups": self.groups})
    }
}

impl Users {
    /// Adds a token of this user.
    pub(crate) fn add(&mut self, token: &str, user: User) {
        self.tokens.insert(token.to_owned(), user);
    }

    /// Removes a token.
    pub(crate) fn remove(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// The user of a token.
    pub(crate) fn by_token(&self, token: &str) -> Option<&User> {
        self.tokens.get(token)
    }

    /// The user of a request. Without a token it is the administrator, or anonymous once RBAC is enforced.
    pub(crate) fn sender(&self, headers: &HeaderMap, enforce: bool) -> Result<User, Failure> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let user = match text("authorization") {
            Some(value) => {
                let token = value.strip_prefix("Bearer ").unwrap_or_default();
                let user = self.by_token(token.trim());
                user.cloned().ok_or_else(Failure::unauthorized)?
            }
            None if enforce => User::anonymous(),
            None => User::admin(),
        };
        match text("impersonate-user") {
            Some(name) if user.is_admin() => {
                let groups = headers.get_all("impersonate-group").iter();
                let groups = groups.filter_map(|value| value.to_str().ok().map(str::to_owned));
                Ok(User::named(name, groups.collect()))
            }
            Some(_) => Err(Failure::new(
                403,
                "Forbidden",
                "users cannot be impersonated",
            )),
            None => Ok(user),
        }
    }
}
