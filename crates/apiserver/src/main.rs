//! The server as a program: for scripts, and for trying things with kubectl.
//!
//! The first line on standard output is the URL. It exits at the end of standard input if that is a pipe, else on a signal.

use std::io::{self, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use headgate_apiserver::{ApiServer, Options};

/// An in-memory Kubernetes API server.
#[derive(Debug, Parser)]
struct Args {
    /// Address to listen on; port 0: any free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// File to write a kubeconfig to
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Files with objects to create at start
    #[arg(long, num_args = 1..)]
    apply: Vec<PathBuf>,
    /// Version that /version reports
    #[arg(long, default_value = "v1.36.0")]
    version: String,
    /// HTTPS, with a generated CA that is in the kubeconfig
    #[arg(long)]
    tls: bool,
    /// Workloads are ready as soon as they are created
    #[arg(long)]
    play_workloads: bool,
    /// The namespace of an object must exist
    #[arg(long)]
    namespaces_must_exist: bool,
    /// Enforce RBAC, except for the user of the kubeconfig
    #[arg(long)]
    rbac: bool,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let server = ApiServer::start_with(Options {
        listen: args.listen,
        tls: args.tls,
        version: args.version,
        play_workloads: args.play_workloads,
        namespaces_must_exist: args.namespaces_must_exist,
        ..Options::default()
    });
    server.enforce_rbac(args.rbac);
    if let Some(file) = &args.kubeconfig {
        std::fs::write(file, server.kubeconfig())?;
    }
    for file in &args.apply {
        server.apply_yaml(&std::fs::read_to_string(file)?);
    }
    writeln!(io::stdout(), "{}", server.url())?;
    io::stdout().flush()?;
    wait_for_exit()
}

/// Waits for the end of a pipe on standard input; without one, for a signal.
fn wait_for_exit() -> io::Result<()> {
    if !io::stdin().is_terminal() && is_pipe() {
        io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink())?;
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}

fn is_pipe() -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata("/dev/stdin").is_ok_and(|stdin| stdin.file_type().is_fifo())
}
