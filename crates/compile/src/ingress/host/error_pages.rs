//! The error pages of the routes of a host.

use std::sync::Arc;

use headgate_table::ErrorPages;

use super::AttachedIngress;
use crate::Options;
use crate::build::TargetDraft;
use crate::ingress::family::errors::RoutePages;
use crate::ingress::settings::Settings;

/// The error pages of the routes of a host. Routes of one Ingress share them.
pub(super) struct HostPages<'a, 's> {
    settings: &'s Settings,
    options: &'s Options,
    global: Option<Arc<ErrorPages>>,
    /// Those of the Ingress that was asked for last, and whether a 401 leads to its sign-in page.
    last: Option<(&'a AttachedIngress, bool, RoutePages)>,
}

impl<'a, 's> HostPages<'a, 's> {
    pub(super) fn new(settings: &'s Settings, options: &'s Options) -> Self {
        Self {
            settings,
            options,
            global: settings.errors.pages(options),
            last: None,
        }
    }

    /// Those of routes that belong to no Ingress.
    pub(super) fn global(&self) -> Option<Arc<ErrorPages>> {
        self.global.clone()
    }

    /// Those of a route of an Ingress. `exempt`: the route has no authentication. A closed route has those of the settings.
    pub(super) fn of(
        &mut self,
        attached: &'a AttachedIngress,
        exempt: bool,
        target: &TargetDraft,
    ) -> Option<Arc<ErrorPages>> {
        if matches!(target, TargetDraft::Closed(_)) {
            return self.global();
        }
        let authentication = attached.policy.authentication.as_ref();
        let service = authentication.and_then(|authentication| authentication.external.as_ref());
        let signs_in = !exempt && service.is_some_and(|service| service.sign_in.is_some());
        if attached.ingress.annotations.errors.is_none() && !signs_in {
            return self.global();
        }
        let pages = match &self.last {
            Some((last, same, pages)) if std::ptr::eq(*last, attached) && *same == signs_in => {
                pages
            }
            _ => {
                let (settings, options) = (self.settings, self.options);
                let pages = RoutePages::of(attached.ingress.subject(), signs_in, settings, options);
                &self.last.insert((attached, signs_in, pages)).2
            }
        };
        match target {
            TargetDraft::DefaultBackend(_) => pages.unmatched.clone(),
            TargetDraft::Split(_) | TargetDraft::Closed(_) => pages.declared.clone(),
        }
    }
}
