//! A scenario: Kubernetes objects and flags, and the program that serves them.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::certificate::Issued;
use crate::manifest::{self, Ingress};
use crate::program::Program;

/// Namespace and name of the ConfigMap with the settings.
pub const SETTINGS: (&str, &str) = ("ingress-nginx", "ingress-nginx-controller");
/// The file that the objects are written to.
pub const FILE: &str = "objects.yaml";

/// Builds objects and flags, starting with only the IngressClass.
#[derive(Clone, Debug)]
pub struct Scenario {
    documents: Vec<Value>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Scenario {
    /// A scenario without hosts.
    pub fn new() -> Self {
        Self {
            documents: vec![manifest::ingress_class()],
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// One Ingress with these annotations: host `a.test`, path `/`, to Service `web` at this address.
    pub fn simple(address: SocketAddr, annotations: &[(&str, &str)]) -> Self {
        Self::new().service("web", &[address]).ingress(
            Ingress::new("web")
                .annotations(annotations)
                .path("/", "web"),
        )
    }

    /// Adds a Service with its endpoints.
    pub fn service(mut self, name: &str, addresses: &[SocketAddr]) -> Self {
        self.documents.push(manifest::service(name));
        self.documents
            .extend(manifest::endpoint_slices(name, addresses));
        self
    }

    /// Adds an Ingress.
    pub fn ingress(self, ingress: Ingress) -> Self {
        self.object(ingress.object())
    }

    /// Adds a TLS Secret.
    pub fn secret(self, name: &str, issued: &Issued) -> Self {
        self.object(manifest::tls_secret(name, issued))
    }

    /// Adds the ConfigMap with the settings.
    pub fn settings(self, data: &[(&str, &str)]) -> Self {
        let (namespace, name) = SETTINGS;
        self.object(manifest::config_map(namespace, name, data))
    }

    /// Adds any object.
    pub fn object(mut self, object: Value) -> Self {
        self.documents.push(object);
        self
    }

    /// Adds a command-line argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets a variable of the program's environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The objects as one manifest.
    pub fn text(&self) -> String {
        manifest::file(&self.documents)
    }

    /// Starts the program with these objects and flags.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(&self, binary: impl AsRef<Path>) -> Program {
        let (namespace, name) = SETTINGS;
        let settings = format!("--configmap={namespace}/{name}");
        let mut arguments = vec![settings.as_str()];
        arguments.extend(self.arguments.iter().map(String::as_str));
        let files = [(FILE, self.text())];
        Program::start(binary.as_ref(), &files, &arguments, &self.environment)
    }

    /// Replaces the objects that a program serves, and waits until it serves these.
    ///
    /// # Panics
    /// When it serves no new table.
    pub fn replace(&self, program: &Program) {
        program.change(|| program.write(FILE, &self.text()));
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}
