//! Discovery: which kinds of custom resources the API server serves, and in which versions.

use std::time::{Duration, Instant};

use headgate_compile::Kind;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::body::{collect, send};
use super::failure::Failure;
use super::message::{Message, Update};
use super::reflector::Shared;

/// A kind and the version in which it is watched.
pub(super) type Served = (Kind, &'static str);

/// The response about a group.
#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

/// The response about a version of a group.
#[derive(Deserialize)]
struct Resources {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

/// After `delay`, asks which of these kinds are served, until there is a response.
pub(super) async fn discover(number: u64, kinds: Vec<Kind>, delay: Duration, shared: Shared) {
    sleep(delay).await;
    let timing = shared.timing;
    let mut backoff = Backoff::new(timing.first_retry);
    let mut is_first = true;
    while !shared.out.is_closed() {
        match served(&kinds, &shared).await {
            Ok(served) => {
                let message = Message {
                    arrived: Instant::now(),
                    update: Update::Discovered(number, kinds, served),
                };
                // Fails when the hub is dropped.
                let _ = shared.out.send(message).await;
                return;
            }
            Err(failure) => {
                let error = &failure;
                if std::mem::take(&mut is_first) {
                    tracing::warn!(%error, "cannot discover which custom resources are served");
                } else {
                    tracing::debug!(%error, "still cannot discover custom resources");
                }
                sleep(timing.wait(&failure, false, &mut backoff)).await;
            }
        }
    }
}

async fn served(kinds: &[Kind], shared: &Shared) -> Result<Vec<Served>, Failure> {
    let mut groups: Vec<&str> = kinds.iter().map(|kind| kind.group()).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut served = Vec::new();
    for group in groups {
        let kinds: Vec<Kind> = kinds
            .iter()
            .copied()
            .filter(|kind| kind.group() == group)
            .collect();
        served.extend(of_group(group, &kinds, shared).await?);
    }
    Ok(served)
}

/// The kinds of a group that are served, each in the first of its versions.
async fn of_group(group: &str, kinds: &[Kind], shared: &Shared) -> Result<Vec<Served>, Failure> {
    let present: Option<Group> = match read(format!("/apis/{group}"), shared).await {
        // Every user may discover, unless an administrator took that away. The watch then tells whether it was right.
        Err(Failure::Denied(_)) => {
            let preferred = kinds
                .iter()
                .filter_map(|kind| Some((*kind, *kind.versions().first()?)));
            return Ok(preferred.collect());
        }
        result => result?,
    };
    let mut all = Vec::new();
    for GroupVersion { version } in present.into_iter().flat_map(|group| group.versions) {
        let is_read = |kind: &Kind| kind.versions().contains(&&*version);
        if !kinds.iter().any(is_read) {
            continue;
        }
        let found: Option<Resources> = read(format!("/apis/{group}/{version}"), shared).await?;
        let names = found.into_iter().flat_map(|found| found.resources);
        all.push((version, names.map(|one| one.name).collect::<Vec<_>>()));
    }
    let has = |kind: Kind, version: &str| {
        let mut same = all.iter().filter(|(served, _)| served == version);
        same.any(|(_, names)| names.iter().any(|name| name == kind.plural()))
    };
    let served = kinds.iter().filter_map(|kind| {
        let mut versions = kind.versions().iter().copied();
        Some((*kind, versions.find(|version| has(*kind, version))?))
    });
    Ok(served.collect())
}

/// What a path says; `None`: there is no such path.
async fn read<T: DeserializeOwned>(path: String, shared: &Shared) -> Result<Option<T>, Failure> {
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| Failure::Invalid(error.to_string()))?;
    let timeout = shared.timing.response_timeout;
    let body = match send(&shared.client, request, timeout).await {
        Err(Failure::NotFound(_)) => return Ok(None),
        result => result?,
    };
    let text = collect(body, timeout).await?;
    let value = serde_json::from_slice(&text);
    value
        .map(Some)
        .map_err(|error| Failure::Malformed(error.to_string()))
}
