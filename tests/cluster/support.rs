//! Shared by the tests of the controller.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Load, Program, Report, Request, Response, wait};
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_headgate");

/// Pause between two checks of a condition without an event.
const PAUSE: Duration = Duration::from_millis(2);

/// A Service with its endpoints.
pub(super) fn backend(name: &str, addresses: &[SocketAddr]) -> Vec<Value> {
    let mut objects = vec![manifest::service(name)];
    objects.extend(manifest::endpoint_slices(name, addresses));
    objects
}

/// The one EndpointSlice of a Service with several endpoints, which share a port.
pub(super) fn slice(service: &str, address: SocketAddr) -> Value {
    let mut slice = manifest::endpoint_slice(service, address, true);
    slice["metadata"]["name"] = service.into();
    slice
}

/// An Ingress that forwards all requests of this host to Service `service`.
pub(super) fn ingress(name: &str, host: &str, service: &str) -> Value {
    Ingress::new(name).host(host).path("/", service).object()
}

/// The object with a change.
pub(super) fn with(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object);
    object
}

/// The response of a host at `/`.
pub(super) fn get(program: &Program, host: &str) -> Response {
    Request::get("/").host(host).send(program.http())
}

/// Waits until a host responds with this status.
#[track_caller]
pub(super) fn until_status(program: &Program, host: &str, status: u16) {
    let mut last = 0;
    let found = poll(|| {
        last = get(program, host).status;
        last == status
    });
    assert!(found, "{host} responds with {last} instead of {status}");
}

/// Waits until the echo upstream of this name serves a host.
#[track_caller]
pub(super) fn until_served_by(program: &Program, host: &str, name: &str) {
    let mut last = None;
    let found = poll(|| {
        let response = get(program, host);
        let is_served = response.status == 200 && response.echo().name() == name;
        last = Some(response);
        is_served
    });
    assert!(found, "{name} does not serve {host}: {last:?}");
}

fn poll(mut condition: impl FnMut() -> bool) -> bool {
    let start = std::time::Instant::now();
    while start.elapsed() < headgate_testkit::PATIENCE {
        if condition() {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}

/// Waits until a metric has this value.
#[track_caller]
pub(super) fn until_metric(program: &Program, name: &str, labels: &[&str], value: f64) {
    let found = poll(|| program.metric(name, labels) == value);
    let last = program.metric(name, labels);
    assert!(found, "{name} {labels:?} is {last}");
}

/// A load on `a.test`.
pub(super) fn load(program: &Program) -> Load {
    Load::start(program.http(), 2, &Request::get("/"), |_| Ok(()))
}

/// Ends a load and asserts that no request failed.
#[track_caller]
pub(super) fn assert_no_failures(load: Load) -> Report {
    load.wait_for(20);
    let report = load.stop();
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    report
}

/// The real `kubectl`, as the administrator of an API server.
pub(super) struct Kubectl {
    directory: TempDir,
    binary: PathBuf,
}

/// The outcome of a run of `kubectl`.
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Kubectl {
    /// kubectl with this kubeconfig; `None`, with a message, if it is not installed.
    pub(super) fn with(kubeconfig: &str) -> Option<Self> {
        let binary = Path::new("/usr/bin/kubectl");
        if !binary.exists() {
            println!("skipped: no {}", binary.display());
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), kubeconfig).unwrap();
        Some(Self {
            directory,
            binary: binary.to_owned(),
        })
    }

    /// Runs it with this standard input; it may fail.
    pub(super) fn try_run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(&self.binary)
            .arg("--kubeconfig")
            .arg(self.directory.path().join("config"))
            .arg("--cache-dir")
            .arg(self.directory.path().join("cache"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Fails if kubectl ended without reading its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Output {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it; it must succeed.
    #[track_caller]
    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    /// Runs it with this standard input; it must succeed.
    #[track_caller]
    pub(super) fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let output = self.try_run(arguments, input);
        assert!(output.success, "kubectl {arguments:?}: {}", output.stderr);
        output
    }
}

/// Sends SIGTERM to a program and asserts that it exits with success.
#[track_caller]
pub(super) fn stop(program: &Program) {
    program.terminate();
    let status = program.wait();
    assert!(status.success(), "{status}");
}

/// Waits for a line in the log of a program.
#[track_caller]
pub(super) fn until_logged(
    program: &Program,
    what: &str,
    matches: impl Fn(&str) -> bool,
) -> String {
    wait::until(what, || {
        program.stderr().into_iter().find(|line| matches(line))
    })
}
