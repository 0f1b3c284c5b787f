//! `headgate check` over the manifests of a large cluster: time and memory. Prints a table.
//!
//! ```text
//! cargo bench --bench check [-- COUNT...]
//! ```
//!
//! Each Ingress has a host, two paths, TLS and four annotations, and comes with its Service and slice. The manifests are YAML,
//! a thousand Ingresses in a file, and once more JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Ingresses in one file.
const PER_FILE: usize = 1000;
/// Between two looks at the memory of the program.
const INTERVAL: Duration = Duration::from_millis(5);

fn main() {
    let counts = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let mut counts: Vec<usize> = counts
        .map(|count| count.parse().expect("a number of Ingresses"))
        .collect();
    if counts.is_empty() {
        counts = vec![1_000, 20_000];
    }
    println!("| Ingresses, Services and slices | format | time | peak memory |\n|---|---|---|---|");
    for count in counts {
        for is_json in [false, true] {
            let directory = tempfile::tempdir().expect("a directory");
            write(directory.path(), count, is_json);
            let (time, peak) = run(directory.path());
            let format = if is_json { "JSON" } else { "YAML" };
            println!(
                "| {count} | {format} | {:.2} s | {peak} MiB |",
                time.as_secs_f64()
            );
        }
    }
}

fn write(directory: &Path, count: usize, is_json: bool) {
    let class = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: nginx}\nspec: {controller: k8s.io/ingress-nginx}\n";
    std::fs::write(directory.join("class.yaml"), class).expect("a file");
    for start in (0..count).step_by(PER_FILE) {
        let mut text = String::new();
        for number in start..count.min(start + PER_FILE) {
            text.push_str(&objects(number));
        }
        if is_json {
            let documents: Vec<serde_json::Value> =
                serde_saphyr::from_multiple(&text).expect("YAML");
            text = documents.iter().fold(String::new(), |mut text, document| {
                let _ = writeln!(text, "{document}");
                text
            });
        }
        let extension = if is_json { "json" } else { "yaml" };
        std::fs::write(directory.join(format!("{start}.{extension}")), text).expect("a file");
    }
}

fn objects(number: usize) -> String {
    let (high, low) = (number / 250, number % 250 + 1);
    format!(
        r#"---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web-{number}
  namespace: team-{team}
  creationTimestamp: "2026-01-01T00:00:00Z"
  annotations:
    nginx.ingress.kubernetes.io/proxy-body-size: "{size}m"
    nginx.ingress.kubernetes.io/proxy-read-timeout: "30"
    nginx.ingress.kubernetes.io/affinity: cookie
    nginx.ingress.kubernetes.io/proxy-buffer-sise: 8k
spec:
  ingressClassName: nginx
  tls:
  - hosts:
    - web-{number}.example.com
    secretName: web-{number}-tls
  rules:
  - host: web-{number}.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: web-{number}
            port:
              number: 80
      - path: /api
        pathType: Prefix
        backend:
          service:
            name: web-{number}
            port:
              name: http
---
apiVersion: v1
kind: Service
metadata:
  name: web-{number}
  namespace: team-{team}
spec:
  clusterIP: 10.96.0.1
  ports:
  - name: http
    port: 80
    targetPort: 8080
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-{number}-abc
  namespace: team-{team}
  labels:
    kubernetes.io/service-name: web-{number}
addressType: IPv4
ports:
- name: http
  port: 8080
endpoints:
- addresses:
  - 10.{a}.{b}.{low}
  conditions:
    ready: true
- addresses:
  - 10.{c}.{b}.{low}
  conditions:
    ready: true
"#,
        team = number % 200,
        size = 1 + number % 64,
        a = high / 250,
        b = high % 250,
        c = 100 + high / 250,
    )
}

/// Runs the program; returns its time and peak memory in MiB.
fn run(directory: &Path) -> (Duration, u64) {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_headgate"))
        .arg("check")
        .arg(directory)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| {
            line.trim()
                .trim_end_matches(" kB")
                .trim()
                .parse::<u64>()
                .ok()
        });
        peak = peak.max(kilobytes.unwrap_or_default());
        if child
            .try_wait()
            .expect("the program can be waited for")
            .is_some()
        {
            return (start.elapsed(), peak >> 10);
        }
        std::thread::sleep(INTERVAL);
    }
}
