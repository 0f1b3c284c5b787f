//! The program under test: started on free ports with manifests in a temporary directory, observed and stopped.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::request::Request;
use crate::client::response::Response;
use crate::gate::lock;
use crate::wait::{self, PATIENCE};

/// Arguments of every program under test.
const ARGUMENTS: [&str; 8] = [
    "--http-port=0",
    "--https-port=0",
    "--healthz-port=0",
    "--console-address=127.0.0.1:0",
    "--bind-address=127.0.0.1",
    "--workers=2",
    "--shutdown-grace-period=0",
    "--post-shutdown-grace-period=0",
];

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Mutex<Child>,
    pid: Pid,
    directory: TempDir,
    staging: TempDir,
    output: Output,
    http: OnceLock<SocketAddr>,
    https: OnceLock<SocketAddr>,
    admin: SocketAddr,
}

/// The output of a program, line by line.
#[derive(Clone, Debug, Default)]
struct Output {
    stdout: Arc<Mutex<Vec<String>>>,
    stderr: Arc<Mutex<Vec<String>>>,
    /// It is not read any more.
    unread: Arc<AtomicBool>,
}

/// The outcome of a program that ran to completion.
#[derive(Debug)]
pub struct Exit {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Program {
    /// Starts `binary serve DIRECTORY …` with these files (name and text) and variables of the environment, and waits until it
    /// is ready.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn start(
        binary: &Path,
        manifests: &[(&str, String)],
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be created");
        for (name, text) in manifests {
            std::fs::write(directory.path().join(name), text).expect("a manifest can be written");
        }
        let mut command = Command::new(binary);
        command.arg("serve").arg(directory.path());
        let variables = environment.iter().map(|(name, value)| (name, value));
        command.envs(variables);
        let program = Self::launch(command, arguments, directory);
        program.until_ready();
        program
    }

    /// Starts `binary controller` as Pod `pod` (namespace and name) with the API server of this kubeconfig, and waits until
    /// the admin port listens; the API server may be unreachable.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn controller(
        binary: &Path,
        kubeconfig: &str,
        (namespace, pod): (&str, &str),
        arguments: &[&str],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be created");
        let file = directory.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig).expect("a kubeconfig can be written");
        let mut command = Command::new(binary);
        command
            .arg("controller")
            .arg("--kubeconfig")
            .arg(file)
            .arg("--allow-loopback-upstreams")
            .env("POD_NAMESPACE", namespace)
            .env("POD_NAME", pod);
        Self::launch(command, arguments, directory)
    }

    fn launch(mut command: Command, arguments: &[&str], directory: TempDir) -> Self {
        let mut child = command
            .args(ARGUMENTS)
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let output = Output::default();
        collect(child.stdout.take(), &output.stdout, &output);
        collect(child.stderr.take(), &output.stderr, &output);
        let pid = Pid::from_child(&child);
        let child = Mutex::new(child);
        Self {
            admin: listening(&child, &output, "admin"),
            child,
            pid,
            directory,
            staging: tempfile::tempdir().expect("a directory can be created"),
            output,
            http: OnceLock::new(),
            https: OnceLock::new(),
        }
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn until_ready(&self) {
        // First the address, because this panics with the log of a program that ended.
        self.http();
        wait::until("readiness", || self.is_ready().then_some(()));
    }

    /// Runs the binary to completion.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn run(binary: &Path, arguments: &[&str]) -> Exit {
        let mut child = Command::new(binary)
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", binary.display()));
        let output = Output::default();
        let readers = [
            collect(child.stdout.take(), &output.stdout, &output),
            collect(child.stderr.take(), &output.stderr, &output),
        ];
        let Some(status) = ended_in_time(&mut child) else {
            // Fails if it ended meanwhile.
            let _ = child.kill();
            panic!(
                "{arguments:?} still runs after {:?}: {}",
                2 * PATIENCE,
                output.tail()
            );
        };
        for reader in readers.into_iter().flatten() {
            // A reader ends when the pipe closes.
            let _ = reader.join();
        }
        let join = |lines: &Mutex<Vec<String>>| lock(lines).join("\n");
        Exit {
            status,
            stdout: join(&output.stdout),
            stderr: join(&output.stderr),
        }
    }

    /// The address of plain HTTP.
    ///
    /// # Panics
    /// When it does not listen in time.
    pub fn http(&self) -> SocketAddr {
        *self
            .http
            .get_or_init(|| listening(&self.child, &self.output, "http"))
    }

    /// The address of HTTPS.
    ///
    /// # Panics
    /// When it does not listen in time.
    pub fn https(&self) -> SocketAddr {
        *self
            .https
            .get_or_init(|| listening(&self.child, &self.output, "https"))
    }

    /// The address of the admin port: health, metrics, tables.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The address of the console.
    ///
    /// # Panics
    /// When it does not listen in time.
    pub fn console(&self) -> SocketAddr {
        listening(&self.child, &self.output, "console")
    }

    /// The address of the admission webhook.
    ///
    /// # Panics
    /// When it does not listen in time.
    pub fn webhook(&self) -> SocketAddr {
        wait::until("the admission webhook", || {
            let log = self.stderr();
            let mut lines = log.iter().filter(|line| line.contains("admission webhook"));
            lines.find_map(|line| address_in(line))
        })
    }

    /// The process ID.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether `/readyz` responds with 200.
    pub fn is_ready(&self) -> bool {
        Request::get("/readyz")
            .try_send(self.admin)
            .is_ok_and(|response| response.status == 200)
    }

    /// Writes or replaces a file in the watched directory, atomically.
    ///
    /// # Panics
    /// When it cannot.
    pub fn write(&self, name: &str, text: &str) {
        let staged = self.staging.path().join(name);
        std::fs::write(&staged, text).expect("a manifest can be written");
        std::fs::rename(&staged, self.directory.path().join(name)).expect("a file can be renamed");
    }

    /// Renames a file in the watched directory.
    ///
    /// # Panics
    /// When it cannot.
    pub fn rename(&self, from: &str, to: &str) {
        let directory = self.directory.path();
        std::fs::rename(directory.join(from), directory.join(to)).expect("a file can be renamed");
    }

    /// Removes a file from the watched directory.
    ///
    /// # Panics
    /// When it cannot.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.directory.path().join(name)).expect("a file can be removed");
    }

    /// GET from the admin port.
    ///
    /// # Panics
    /// When there is no response.
    pub fn admin_get(&self, path: &str) -> Response {
        Request::get(path).send(self.admin)
    }

    /// The table being served.
    ///
    /// # Panics
    /// When the admin port does not return it.
    pub fn table(&self) -> Value {
        let response = self.admin_get("/debug/table").is(200);
        serde_json::from_slice(&response.body).expect("the table is JSON")
    }

    /// The generation of the table being served.
    ///
    /// # Panics
    /// When the admin port does not return it.
    pub fn generation(&self) -> u64 {
        self.table()["generation"]
            .as_u64()
            .expect("a table has a generation")
    }

    /// Waits for a table of at least this generation.
    ///
    /// # Panics
    /// When none comes.
    pub fn until_generation(&self, generation: u64) {
        self.until_table("newer table", |table| {
            table["generation"].as_u64() >= Some(generation)
        });
    }

    /// Waits for a table that satisfies a condition.
    ///
    /// # Panics
    /// When none comes.
    pub fn until_table(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, || Some(self.table()).filter(&condition))
    }

    /// Makes a change, then waits for the next table.
    ///
    /// # Panics
    /// When none comes.
    pub fn change(&self, change: impl FnOnce()) {
        let before = self.generation();
        change();
        self.until_generation(before + 1);
    }

    /// The metrics, as text.
    ///
    /// # Panics
    /// When the admin port does not return them.
    pub fn metrics(&self) -> String {
        self.admin_get("/metrics").is(200).text()
    }

    /// The sum of a metric's series that carry all these labels (`name="value"`).
    ///
    /// # Panics
    /// When the admin port does not return metrics.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        self.metrics()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Lines of the access log (standard output) so far.
    pub fn stdout(&self) -> Vec<String> {
        lock(&self.output.stdout).clone()
    }

    /// Lines of the log (standard error) so far.
    pub fn stderr(&self) -> Vec<String> {
        lock(&self.output.stderr).clone()
    }

    /// Waits for a line of the access log.
    ///
    /// # Panics
    /// When it does not come.
    pub fn until_access_log(&self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        wait::until(what, || {
            self.stdout().into_iter().find(|line| matches(line))
        })
    }

    /// From now on the pipes of standard output and standard error are not read.
    pub fn leave_output_unread(&self) {
        self.output.unread.store(true, Ordering::Relaxed);
    }

    /// Sends SIGUSR1: log files are opened again.
    ///
    /// # Panics
    /// When the program does not run.
    pub fn reopen_logs(&self) {
        kill_process(self.pid, Signal::USR1).expect("the program runs");
    }

    /// Sends SIGHUP, as a terminal that is closed does.
    ///
    /// # Panics
    /// When the program does not run.
    pub fn hang_up(&self) {
        kill_process(self.pid, Signal::HUP).expect("the program runs");
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn terminate(&self) {
        kill_process(self.pid, Signal::TERM).expect("the program runs");
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn wait(&self) -> ExitStatus {
        ended_in_time(&mut lock(&self.child)).unwrap_or_else(|| {
            panic!(
                "the program still runs after {:?}: {}",
                2 * PATIENCE,
                self.output.tail()
            )
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.output.unread.store(false, Ordering::Relaxed);
        let mut child = lock(&self.child);
        // Fails if it has already ended.
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            eprintln!("the end of the log:\n{}", self.output.tail());
        }
    }
}

impl Output {
    fn tail(&self) -> String {
        let lines = lock(&self.stderr);
        let start = lines.len().saturating_sub(60);
        lines[start..].join("\n")
    }
}

fn collect(
    pipe: Option<impl Read + Send + 'static>,
    lines: &Arc<Mutex<Vec<String>>>,
    output: &Output,
) -> Option<std::thread::JoinHandle<()>> {
    let (pipe, lines, unread) = (pipe?, lines.clone(), output.unread.clone());
    Some(std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line);
            lock(&lines).push(text.trim_end_matches('\n').to_owned());
            line.clear();
            while unread.load(Ordering::Relaxed) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }))
}

/// Waits for the log line of a listener and returns its address.
fn listening(child: &Mutex<Child>, output: &Output, name: &str) -> SocketAddr {
    let field = format!("name={name} ");
    let start = Instant::now();
    wait::until("listener", || {
        let found = lock(&output.stderr).iter().find_map(|line| {
            let line = line.replace('"', "");
            let matches = line.contains("listening") && format!("{line} ").contains(&field);
            matches.then(|| address_in(&line)).flatten()
        });
        let ended = lock(child).try_wait().ok().flatten();
        if found.is_none()
            && let Some(status) = ended
        {
            panic!("the program ended ({status}):\n{}", output.tail());
        }
        assert!(
            found.is_some() || start.elapsed() < PATIENCE,
            "the program has no listener {name}:\n{}",
            output.tail()
        );
        found
    })
}

/// The field `address` of a log line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("address=")?;
    rest.split(' ').next()?.parse().ok()
}

/// Twice the time of other waits, because a stop drains and clears statuses.
fn ended_in_time(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < 2 * PATIENCE {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    None
}
