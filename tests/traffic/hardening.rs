//! What the process gives up at its start.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use headgate_testkit::{Program, Request};

use super::setup::{BINARY, serve};

/// User and group of the image's kind: without any privilege.
const NOBODY: &str = "65534";

#[test]
fn there_are_no_core_files_and_no_new_privileges() {
    let (program, _web) = serve(&[]);
    let read = |file| fs::read_to_string(format!("/proc/{}/{file}", program.id())).unwrap();
    let limits = read("limits");
    let mut limits = limits.lines();
    let cores = limits.find(|line| line.starts_with("Max core file size"));
    let cores: Vec<_> = cores.unwrap().split_ascii_whitespace().collect();
    assert_eq!(cores[4..6], ["0", "0"], "{cores:?}");
    assert!(read("status").contains("NoNewPrivs:\t1\n"));
}

/// The files in `/proc` of a process that is not dumpable belong to root, even if the process does not.
#[test]
fn nobody_else_of_its_user_reads_its_memory_and_it_still_measures_itself() {
    let setpriv = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"];
    let mut probe = Command::new("setpriv");
    let probe = probe.args(setpriv).args(["test", "-x", BINARY]).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("skipped: needs root, setpriv and a binary that all may run");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("unprivileged");
    let text = format!(
        "#!/bin/sh\nchown -R {NOBODY} \"$2\"\nexec setpriv {} {BINARY} \"$@\"\n",
        setpriv.join(" ")
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let program = Program::start(&script, &[], &[], &[]);
    let owner = |file| {
        let path = format!("/proc/{}/{file}", program.id());
        fs::metadata(Path::new(&path)).unwrap().uid()
    };
    assert_eq!(owner("").to_string(), NOBODY);
    assert_eq!(owner("mem"), 0, "not dumpable");
    let environment = format!("/proc/{}/environ", program.id());
    let mut other = Command::new("setpriv");
    let other = other.args(setpriv).args(["cat", &environment]).output();
    assert!(
        !other.unwrap().status.success(),
        "another process of its user"
    );
    Request::get("/").send(program.http()).is(404);
    for metric in [
        "nginx_ingress_controller_nginx_process_resident_memory_bytes",
        "nginx_ingress_controller_nginx_process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
    ] {
        assert!(program.metric(metric, &[]) > 0.0, "{metric}");
    }
}
