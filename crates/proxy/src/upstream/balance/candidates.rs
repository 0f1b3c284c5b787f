//! The endpoints that one attempt may go to.

use std::net::SocketAddr;
use std::sync::Arc;

use super::super::health::{Health, Standing};
use super::View;

/// The endpoints of one choice. Those that have failed the same request are avoided while there are others, and those that
/// should get no requests for now while there are others without them.
pub(in super::super) struct Candidates<'c> {
    pub(in super::super) view: &'c View,
    /// Endpoints that have failed the same request.
    pub(in super::super) tried: &'c [SocketAddr],
    narrowed: Option<(Arc<Standing>, Narrowing)>,
}

/// Which endpoints are left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Narrowing {
    /// Sound ones and those that are due for a trial.
    Open,
    Sound,
}

impl<'c> Candidates<'c> {
    /// For an attempt after those at `tried`.
    pub(super) fn new(health: &Health, view: &'c View, tried: &'c [SocketAddr]) -> Self {
        let narrowed = health.standing(view.shared()).and_then(|standing| {
            let narrowing = if tried.is_empty() && !standing.open().is_empty() {
                Narrowing::Open
            } else if standing.sound().iter().any(|one| !tried.contains(one)) {
                Narrowing::Sound
            } else {
                return None;
            };
            Some((standing, narrowing))
        });
        Self {
            view,
            tried,
            narrowed,
        }
    }

    /// Leaves out what is due for a trial, after another request claimed it.
    pub(super) fn without_trials(mut self) -> Self {
        self.narrowed = self.narrowed.and_then(|(standing, _)| {
            (!standing.sound().is_empty()).then_some((standing, Narrowing::Sound))
        });
        self
    }

    /// The endpoints, those in `tried` among them.
    pub(in super::super) fn endpoints(&self) -> &[SocketAddr] {
        match &self.narrowed {
            None => self.view.endpoints(),
            Some((standing, Narrowing::Open)) => standing.open(),
            Some((standing, Narrowing::Sound)) => standing.sound(),
        }
    }

    /// Whether `endpoint` of the view is a candidate that was not tried.
    pub(in super::super) fn suits(&self, endpoint: &SocketAddr) -> bool {
        let left = match &self.narrowed {
            None => true,
            Some((standing, Narrowing::Open)) => standing.is_open(endpoint),
            Some((standing, Narrowing::Sound)) => standing.is_sound(endpoint),
        };
        left && !self.tried.contains(endpoint)
    }

    /// Whether an attempt at `endpoint` is its trial, which must be claimed.
    pub(super) fn is_trial(&self, endpoint: &SocketAddr) -> bool {
        matches!(&self.narrowed, Some((standing, Narrowing::Open)) if !standing.is_sound(endpoint))
    }
}
