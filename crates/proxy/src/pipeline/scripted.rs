//! Runs the script of a route, and looks the route up again where it rewrites the path.

use std::sync::Arc;

use headgate_table::{Host, HostBehaviour, HostScript, PathIndex, Route};
use http::StatusCode;
use http_body::Body;

use super::observer::{Decision, Observer};
use super::rewrite::{self, Rewritten};
use super::script::{self, Ended};
use super::{Arrived, Routed, error_page, find_route, redirect};
use crate::request::Context;
use crate::respond::LocalResponse;
use crate::values::Locals;

/// How often the path of a request may lead to another route; then nginx responds with 500.
const MAX_MOVES: u32 = 10;

/// Whether the rewrite of the route applies after its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rewrites {
    Yes,
    No,
}

impl<'t, B> Arrived<'_, 't, B> {
    /// Runs the steps of a host before the route is known, and returns what they set.
    pub(super) fn run_host_script(
        &mut self,
        host: &'t Host,
        script: &'t HostScript,
    ) -> Result<Option<Box<Locals>>, LocalResponse> {
        let HostBehaviour::Routes { paths, .. } = &host.behaviour else {
            return Ok(None);
        };
        if script.script.is_static() {
            return Ok(None);
        }
        let headers = std::mem::take(&mut self.head.headers);
        let settings = self.exchange.settings();
        let mut context = Context::new(self.parsed.clone(), headers, settings, host, paths.root());
        let outcome = script::run(&mut context, &script.script);
        let locals = context.locals.take();
        self.head.headers = std::mem::take(&mut context.headers);
        if outcome.ended.is_err() {
            self.exchange
                .respond_by_host(&script.script, locals.clone(), &self.head.headers);
            self.exchange.note_request(&self.parsed);
        }
        self.exchange.because("directive", outcome.ended)?;
        Ok(locals)
    }
}

impl<'t, B: Body> Routed<'_, 't, B> {
    /// Runs the script of the route, and of those that it leads to.
    pub(super) fn run_script(
        &mut self,
        observer: &mut impl Observer<B>,
    ) -> Result<Rewrites, LocalResponse> {
        if self.route.policy.script.is_none() {
            return Ok(Rewrites::Yes);
        }
        for _ in 0..=MAX_MOVES {
            let ended = self.run_once();
            match observer.decided(ended, Decision::Script, self)? {
                Ended::Proceed => return Ok(Rewrites::Yes),
                Ended::Broke => return Ok(Rewrites::No),
                Ended::Changed => {
                    let redirected = redirect::of_route(&self.context);
                    observer.decided(redirected, Decision::Redirect, self)?;
                    if rewrite::applies(&self.context)? {
                        return Ok(Rewrites::Yes);
                    }
                    self.move_route(observer)?;
                }
                Ended::Moved => self.move_route(observer)?,
            }
        }
        let cycle = Err(LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR));
        self.exchange.because("rewrite-cycle", cycle)
    }

    /// The redirect of the route, unless the script has ended it: both are steps of one module in nginx.
    pub(super) fn redirect(&self, rewrites: Rewrites) -> Result<(), LocalResponse> {
        match rewrites {
            Rewrites::Yes => redirect::of_route(&self.context),
            Rewrites::No => Ok(()),
        }
    }

    /// The rewrite of the route, unless the script has ended it.
    pub(super) fn rewrite(&self, rewrites: Rewrites) -> Result<Rewritten, LocalResponse> {
        match rewrites {
            Rewrites::Yes => rewrite::rewrite(&self.context),
            Rewrites::No => Ok(Rewritten {
                target: rewrite::moved(&self.context)?,
                prefix: None,
            }),
        }
    }

    fn run_once(&mut self) -> Result<Ended, LocalResponse> {
        let Some(script) = self.route.policy.script.as_deref() else {
            return Ok(Ended::Proceed);
        };
        let outcome = script::run(&mut self.context, script);
        self.exchange.select(script, outcome.level, &self.context);
        let ended = self.exchange.because("directive", outcome.ended)?;
        // As in nginx, also if another route serves then.
        if let Some(level) = script.levels.get(outcome.level)
            && !level.input.is_empty()
        {
            script::input::apply(&mut self.context, &level.input);
            self.exchange.note_edited(&self.context.headers);
        }
        Ok(ended)
    }

    /// Takes the route of the rewritten path, with its first steps.
    fn move_route(&mut self, observer: &mut impl Observer<B>) -> Result<(), LocalResponse> {
        let HostBehaviour::Routes { paths, .. } = &self.host.behaviour else {
            return Ok(());
        };
        let (route, lacks_slash) = self.find(paths)?;
        self.route = route;
        self.context.route = route;
        self.lacks_slash = lacks_slash;
        let exchange = &mut *self.exchange;
        exchange.leave_route(&self.context);
        exchange.note_route(route, &self.context.parsed, &self.context.headers);
        exchange.restrict(self.host);
        exchange.error_page = None;
        error_page::keep(exchange, route, &self.context);
        observer.moved(self);
        self.enter(observer)
    }

    fn find(&mut self, paths: &'t PathIndex) -> Result<(&'t Arc<Route>, bool), LocalResponse> {
        // Conditions read header fields, which are in the context.
        std::mem::swap(&mut self.head.headers, &mut self.context.headers);
        let found = find_route((self.host, paths), self.context.path(), &self.head);
        std::mem::swap(&mut self.head.headers, &mut self.context.headers);
        self.exchange.because("expression-limit", found)
    }
}
