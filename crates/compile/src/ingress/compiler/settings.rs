//! The phase of settings: the ConfigMap, those that it refers to, the parameters of classes, and the default certificate.

use super::*;
use crate::ConfigMap;
use crate::ingress::family::errors;

/// The outcome of reading the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SettingsRead {
    /// Not read, because no input changed.
    Skipped,
    /// Read and equal; header fields in referenced ConfigMaps may have changed.
    Same,
    /// Read and changed; everything depends on them.
    Changed,
}

impl Pass<'_> {
    /// Reads the settings if their ConfigMap, or one that they refer to, changed, or if `force` is set.
    pub(super) fn settings(&mut self, changes: &Changes, force: bool) -> SettingsRead {
        let settings = &self.state.settings;
        let own = self.options.settings.as_ref();
        let namespace = own.map_or("", |name| &name.namespace);
        let named = [&settings.header_maps.proxy_set, &settings.header_maps.add];
        let named = named
            .into_iter()
            .flatten()
            .map(|reference| config_map_name(reference, namespace));
        let parameters = class::parameters(self.snapshot, &self.options.class);
        let concerned: BTreeSet<Name> = named
            .chain(own.cloned())
            .chain(parameters.iter().map(|(_, map)| map.clone()))
            .collect();
        let changed = |object: &ObjectRef| match object.kind {
            Kind::ConfigMap => concerned.contains(&object.name),
            Kind::IngressClass => true,
            _ => false,
        };
        if !force && !changes.objects.iter().any(changed) {
            return SettingsRead::Skipped;
        }
        let map = own.and_then(|name| self.snapshot.get::<ConfigMap>(name));
        let mut findings = Vec::new();
        if let (Some(name), None) = (own, map) {
            let message = format!("there is no ConfigMap {name}; every setting has its default");
            findings.push(Finding {
                field: "".into(),
                ..settings_finding(self.options, Severity::Warning, "", message)
            });
        }
        let mut data = self.class_settings(&parameters, &mut findings);
        data.extend(map.map(|map| map.data.clone()).unwrap_or_default());
        let listeners = &self.options.listeners;
        let addresses = listeners.http.iter().chain(&listeners.https);
        let ports: Vec<u16> = addresses.map(SocketAddr::port).collect();
        let (mut settings, mut problems) = Settings::parse_beside(&data, &ports);
        settings.undefined = policy::snippets::undefined(&settings, &mut problems);
        for problem in problems {
            findings.push(settings_finding(
                self.options,
                problem.severity,
                &problem.field,
                problem.message,
            ));
        }
        let missing = errors::global_problem(&settings.errors, self.options);
        findings.extend(
            missing.map(|(key, message)| {
                settings_finding(self.options, Severity::Warning, key, message)
            }),
        );
        let (serving, more) = serving(&settings, self.snapshot, self.options);
        findings.extend(more);
        self.findings.replace(Source::Settings, findings);
        self.table.settings = Arc::new(serving);
        if settings == self.state.settings {
            return SettingsRead::Same;
        }
        let service = |settings: &Settings| settings.global_auth.as_ref()?.service();
        if let Some(former) = service(&self.state.settings) {
            self.builder.release_upstream(&former.key());
        }
        if let Some(service) = service(&settings) {
            self.builder.acquire(service);
        }
        self.state.set_settings(settings);
        SettingsRead::Changed
    }

    /// The settings from the parameters of served classes: of several classes, those of the first by name. The ConfigMap of
    /// `--configmap` takes precedence.
    fn class_settings(
        &self,
        parameters: &[(Name, Name)],
        findings: &mut Vec<Finding>,
    ) -> BTreeMap<String, String> {
        let mut data = BTreeMap::new();
        let mut first: Option<&Name> = None;
        for (class, name) in parameters {
            let message = match (self.snapshot.get::<ConfigMap>(name), first) {
                (None, _) => format!("there is no ConfigMap {name}; the class has no settings"),
                (Some(_), Some(first)) if first != name => format!(
                    "ignored: the settings of another class, in ConfigMap {first}, hold for the whole process"
                ),
                (Some(map), _) => {
                    data.clone_from(&map.data);
                    first = Some(name);
                    continue;
                }
            };
            findings.push(Finding {
                severity: Severity::Warning,
                subject: Subject::Object(ObjectRef {
                    kind: Kind::IngressClass,
                    name: class.clone(),
                }),
                field: "spec.parameters".into(),
                message: message.into(),
            });
        }
        data
    }

    /// The default certificate: that of `--default-ssl-certificate`, else `fallback`.
    pub(super) fn default_certificate(&mut self, fallback: &Arc<Certificate>) -> Arc<Certificate> {
        let Some(name) = &self.options.default_certificate else {
            return fallback.clone();
        };
        let (certificate, problem) = self.certificates.serving(name, self.snapshot);
        let findings = problem.map(|problem| {
            let consequence = match &certificate {
                Some(_) => "the last valid default certificate serves",
                None => "a generated one is the default certificate",
            };
            Finding {
                severity: Severity::Error,
                subject: Subject::Object(ObjectRef {
                    kind: Kind::Secret,
                    name: name.clone(),
                }),
                field: "".into(),
                message: format!("{problem}; {consequence}").into(),
            }
        });
        self.findings
            .replace(Source::DefaultCertificate, findings.into_iter().collect());
        certificate.unwrap_or_else(|| fallback.clone())
    }
}
