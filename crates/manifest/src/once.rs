//! Reads files once, without watching them: for commands that report and end. Documents are parsed on all cores.

use std::collections::HashMap;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headgate_compile::{Finding, Snapshot, Workload};

use crate::SourceError;
use crate::document::{self, Chunk, Format, Outcome};
use crate::files::{self, Content, FileKey, Root};
use crate::index::Index;
use crate::source::root;
use crate::store::file::FileState;
use crate::store::path_finding;

/// The path that means standard input.
const STDIN: &str = "-";
/// Text that is read before it is parsed: bounds memory where there are many files.
const BATCH: usize = 16 << 20;

/// What files hold.
pub struct Contents {
    /// The objects, current.
    pub snapshot: Snapshot,
    /// Findings about documents; sorted.
    pub findings: Vec<Finding>,
    /// Workloads of ingress-nginx; sorted.
    pub workloads: Vec<Workload>,
}

/// A file with its text.
struct Text {
    key: Arc<FileKey>,
    content: Content,
}

/// Reads the manifests in these paths; `-` is standard input. `progress` gets the number of documents that were parsed since its
/// last call, on several threads.
///
/// # Errors
/// When a path is missing or is neither a file nor a directory.
pub fn read(
    paths: Vec<PathBuf>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Contents, SourceError> {
    let (inputs, paths): (Vec<_>, Vec<_>) = paths
        .into_iter()
        .partition(|path| *path == Path::new(STDIN));
    let roots = paths
        .into_iter()
        .map(root)
        .collect::<Result<Vec<Root>, _>>()?;
    let walk = files::walk(&roots);
    let mut reading = Reading {
        index: Index::default(),
        files: Vec::new(),
        workloads: Vec::new(),
        progress,
    };
    let mut batch = Batch::default();
    if !inputs.is_empty() {
        batch.add(standard_input());
    }
    for (key, found) in walk.files {
        batch.add(Text {
            key: Arc::new(key),
            content: files::read(&found.real_path),
        });
        if batch.size > BATCH {
            reading.parse(std::mem::take(&mut batch));
        }
    }
    reading.parse(batch);
    let problems = walk.problems.iter().map(path_finding);
    Ok(reading.finish(problems))
}

fn standard_input() -> Text {
    let mut text = String::new();
    let content = match std::io::stdin().lock().read_to_string(&mut text) {
        Ok(_) => Content::Text(text),
        Err(error) => Content::Unusable(1, format!("cannot be read: {error}")),
    };
    let path = STDIN.into();
    let key = Arc::new(FileKey {
        root: usize::MAX,
        path,
    });
    Text { key, content }
}

/// The format of a text; standard input has no extension, and kubectl writes JSON or YAML.
fn format(text: &Text, content: &str) -> Format {
    let is_input = text.key.path == Path::new(STDIN);
    if is_input && content.trim_start().starts_with('{') {
        Format::Json
    } else {
        text.key.format()
    }
}

/// Files that are parsed together.
#[derive(Default)]
struct Batch {
    texts: Vec<Text>,
    /// Bytes of text.
    size: usize,
}

impl Batch {
    fn add(&mut self, text: Text) {
        if let Content::Text(content) = &text.content {
            self.size += content.len();
        }
        self.texts.push(text);
    }
}

/// Files in the order of their precedence.
struct Reading<'a> {
    index: Index,
    files: Vec<(Arc<FileKey>, FileState)>,
    workloads: Vec<Workload>,
    progress: &'a (dyn Fn(usize) + Sync),
}

impl Reading<'_> {
    fn parse(&mut self, batch: Batch) {
        let texts = batch.texts.iter().enumerate();
        let jobs: Vec<(usize, Chunk<'_>, Format)> = texts
            .filter_map(|(at, text)| match &text.content {
                Content::Text(content) => Some((at, content, format(text, content))),
                Content::Unusable(..) | Content::Gone => None,
            })
            .flat_map(|(at, content, format)| {
                let chunks = document::split(content, format);
                chunks.into_iter().map(move |chunk| (at, chunk, format))
            })
            .collect();
        let outcomes = in_parallel(&jobs, |(_, chunk, format)| {
            let outcome = document::parse_with_workloads(chunk.text, *format);
            (self.progress)(1);
            outcome
        });
        let mut of_files: HashMap<usize, Vec<(usize, Outcome)>> = HashMap::new();
        for ((at, chunk, _), mut outcome) in jobs.iter().zip(outcomes) {
            self.workloads.append(&mut outcome.workloads);
            of_files.entry(*at).or_default().push((chunk.line, outcome));
        }
        for (at, text) in batch.texts.into_iter().enumerate() {
            let unusable = match text.content {
                Content::Unusable(line, reason) => Some((line, reason)),
                Content::Gone => continue,
                Content::Text(_) => None,
            };
            let outcomes = of_files.remove(&at).unwrap_or_default();
            let file = FileState::read_once(&text.key, outcomes, unusable, &mut self.index);
            self.files.push((text.key, file));
        }
    }

    fn finish(mut self, problems: impl Iterator<Item = Finding>) -> Contents {
        let mut snapshot = Snapshot::default();
        for (_, object) in self.index.take_read() {
            if let Some(object) = object {
                snapshot.apply(object);
            }
        }
        let of_files = self.files.iter().flat_map(|(key, file)| file.findings(key));
        let mut findings: Vec<Finding> = problems
            .chain(of_files)
            .chain(self.index.findings())
            .collect();
        findings.sort_by(|left, right| {
            let subjects = left.subject.cmp(&right.subject);
            subjects.then_with(|| left.cmp(right))
        });
        findings.dedup();
        self.workloads.sort();
        snapshot.take_changes();
        Contents {
            snapshot,
            findings,
            workloads: self.workloads,
        }
    }
}

/// The results of `job` for each item, in their order, computed on all cores.
fn in_parallel<T: Sync, R: Send>(items: &[T], job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(job).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, job(item)));
        }
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter().flat_map(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
