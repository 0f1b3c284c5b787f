//! The location of clients, from databases in the MaxMind format that are mounted and replaced while the process runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use headgate_table::GeoVariable;
use maxminddb::{PathElement, Reader};
use serde::Deserialize;

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// The databases. They are read at the first lookup, and again when their files change.
pub(crate) struct Locations {
    directory: PathBuf,
    /// Such as `GeoLite2-City`.
    editions: Box<[String]>,
    databases: ArcSwap<Databases>,
    started: Once,
}

/// Databases by edition.
type Databases = BTreeMap<String, Database>;

#[derive(Clone)]
struct Database {
    /// `None`: the file cannot be read.
    reader: Option<Arc<Reader<Vec<u8>>>>,
    stamp: Stamp,
}

/// What changes with the content of a file.
type Stamp = Option<(SystemTime, u64)>;

impl Locations {
    /// Of the databases `editions` in `directory`.
    pub(crate) fn new(directory: &Path, editions: &[String]) -> Arc<Self> {
        Arc::new(Self {
            directory: directory.to_owned(),
            editions: editions.into(),
            databases: ArcSwap::default(),
            started: Once::new(),
        })
    }

    /// Appends the value of `variable` for `client`.
    pub(crate) fn write(
        self: &Arc<Self>,
        variable: GeoVariable,
        client: IpAddr,
        out: &mut Vec<u8>,
    ) {
        self.started.call_once(|| self.start());
        let databases = self.databases.load();
        for reader in readers(&databases, variable) {
            if let Some(value) = lookup(reader, variable, client) {
                return value.write(out);
            }
        }
        out.extend_from_slice(variable.default.as_bytes());
    }

    /// Whether a database that can be read has `variable`.
    pub(crate) fn has(self: &Arc<Self>, variable: GeoVariable) -> bool {
        self.started.call_once(|| self.start());
        readers(&self.databases.load(), variable).next().is_some()
    }

    /// Reads the files, and starts the thread that reads them again.
    fn start(self: &Arc<Self>) {
        self.refresh();
        let locations = Arc::downgrade(self);
        let watch = move || watch(&locations);
        if let Err(error) = thread::Builder::new().name("geoip".into()).spawn(watch) {
            tracing::error!(%error, "cannot start the thread that reads location databases again");
        }
    }

    /// Reads files that changed. One that cannot be read keeps its former content.
    fn refresh(&self) {
        let former = self.databases.load_full();
        let current: Databases = self
            .editions
            .iter()
            .map(|edition| (edition.clone(), self.read(edition, former.get(edition))))
            .collect();
        self.databases.store(Arc::new(current));
    }

    fn read(&self, edition: &str, former: Option<&Database>) -> Database {
        let path = self.directory.join(format!("{edition}.mmdb"));
        let stamp = stamp(&path);
        if let Some(former) = former.filter(|former| former.stamp == stamp) {
            return former.clone();
        }
        let path = path.display();
        let reader = match Reader::open_readfile(path.to_string()) {
            Ok(reader) => {
                tracing::info!(%path, "location database read");
                Some(Arc::new(reader))
            }
            Err(error) => {
                tracing::warn!(%path, %error, "cannot read location database");
                former.and_then(|former| former.reader.clone())
            }
        };
        Database { reader, stamp }
    }
}

/// The databases of `variable` that can be read.
fn readers(databases: &Databases, variable: GeoVariable) -> impl Iterator<Item = &Reader<Vec<u8>>> {
    let found = variable.databases.iter().flat_map(|kind| {
        ["GeoLite2", "GeoIP2"].map(|family| databases.get(&format!("{family}-{kind}")))
    });
    found
        .flatten()
        .filter_map(|database| database.reader.as_deref())
}

fn watch(locations: &Weak<Locations>) {
    loop {
        thread::sleep(INTERVAL);
        let Some(locations) = locations.upgrade() else {
            return;
        };
        locations.refresh();
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A value of a record.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Flag(bool),
    Number(u64),
    Decimal(f64),
    Text(String),
}

impl Value {
    /// As nginx writes it.
    fn write(self, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = match self {
            Self::Flag(flag) => write!(out, "{}", u8::from(flag)),
            Self::Number(number) => write!(out, "{number}"),
            Self::Decimal(number) => write!(out, "{number:.5}"),
            Self::Text(text) => write!(out, "{text}"),
        };
    }
}

/// A broken record has no value.
fn lookup(reader: &Reader<Vec<u8>>, variable: GeoVariable, client: IpAddr) -> Option<Value> {
    let path: Vec<PathElement<'_>> = variable.path.iter().map(|part| element(part)).collect();
    reader.lookup(client).ok()?.decode_path(&path).ok()?
}

fn element<'p>(part: &'p str) -> PathElement<'p> {
    part.parse()
        .map_or(PathElement::Key(part), PathElement::Index)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 29, "{text}");
        [&[0x40 | length], text.as_bytes()].concat()
    }

    fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![0xE0 | u8::try_from(entries.len()).unwrap()];
        for (key, value) in entries {
            out.extend(text(key));
            out.extend(value);
        }
        out
    }

    fn short(number: u8) -> Vec<u8> {
        vec![0xA1, number]
    }

    /// A database of one node: addresses below 128.0.0.0 have `record`.
    fn database(record: &[u8]) -> Vec<u8> {
        let tree = [0, 0, 17, 0, 0, 1];
        let metadata = map(&[
            ("node_count", vec![0xC1, 1]),
            ("record_size", short(24)),
            ("ip_version", short(4)),
            ("database_type", text("Test")),
            ("languages", vec![0x00, 0x04]),
            ("binary_format_major_version", short(2)),
            ("binary_format_minor_version", short(0)),
            ("build_epoch", vec![0x01, 0x02, 1]),
            ("description", map(&[])),
        ]);
        [
            &tree[..],
            &[0; 16],
            record,
            b"\xAB\xCD\xEFMaxMind.com",
            &metadata,
        ]
        .concat()
    }

    fn value(locations: &Arc<Locations>, name: &str, client: &str) -> String {
        let mut out = Vec::new();
        let variable = GeoVariable::named(name).unwrap();
        locations.write(variable, client.parse().unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn city(code: &str) -> Vec<u8> {
        let latitude = [&[0x68][..], &51.5_f64.to_be_bytes()].concat();
        database(&map(&[
            (
                "country",
                map(&[("iso_code", text(code)), ("geoname_id", vec![0xC1, 7])]),
            ),
            ("location", map(&[("latitude", latitude)])),
            (
                "subdivisions",
                [vec![0x01, 0x04], map(&[("iso_code", text("ENG"))])].concat(),
            ),
        ]))
    }

    #[test]
    fn values_come_from_the_databases_and_follow_their_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("GeoLite2-City.mmdb");
        fs::write(&path, city("GB")).unwrap();
        let editions = ["GeoLite2-City".to_owned(), "GeoLite2-ASN".to_owned()];
        let locations = Locations::new(directory.path(), &editions);
        let has = |name| locations.has(GeoVariable::named(name).unwrap());
        assert_eq!(
            (has("city"), has("asn"), has("country_code")),
            (true, false, false)
        );
        for (name, expected) in [
            ("city_country_code", "GB"),
            ("city_country_geoname_id", "7"),
            ("latitude", "51.50000"),
            ("region_code", "ENG"),
            ("subregion_code", ""),
            ("asn", ""),
            ("is_tor_exit_node", "0"),
        ] {
            assert_eq!(value(&locations, name, "127.0.0.1"), expected, "{name}");
        }
        assert_eq!(value(&locations, "city_country_code", "192.0.2.1"), "");
        fs::write(&path, city("FRA")).unwrap();
        locations.refresh();
        assert_eq!(value(&locations, "city_country_code", "127.0.0.1"), "FRA");
        fs::write(&path, "broken").unwrap();
        locations.refresh();
        assert_eq!(value(&locations, "city_country_code", "127.0.0.1"), "FRA");
    }
}
