//! Clusters of any size, by what they have many of.

use headgate_compile::{Object, SharedData, Snapshot};

use super::{Pair, Written, class, host};

/// Hosts and Services where there are few.
const FEW: usize = 10;
/// Paths of an Ingress that shares its host with others.
const PATHS_OF_INGRESS: usize = 100;
/// Endpoints of a full slice, as Kubernetes makes them.
const ENDPOINTS_OF_SLICE: usize = 100;

/// What a cluster has many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    /// Ingresses, each with a host, five paths, TLS, Secret, Service and slice. All Secrets have the same certificate.
    Ingresses,
    /// Paths of ten hosts, in Ingresses of 100, each with its Service.
    Paths,
    /// Endpoints of ten Services, in slices of 100.
    Endpoints,
    /// Secrets, each with a certificate of its own and with an Ingress of one path, for one Service.
    Certificates,
}

/// The kind of the one object that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An annotation of an Ingress.
    Ingress,
    /// An address of an EndpointSlice.
    Slice,
    /// The certificate of a Secret.
    Secret,
}

impl Change {
    pub(crate) const ALL: [Self; 3] = [Self::Ingress, Self::Slice, Self::Secret];

    /// For results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Slice => "slice",
            Self::Secret => "secret",
        }
    }
}

impl Series {
    pub(crate) const ALL: [Self; 4] = [
        Self::Ingresses,
        Self::Paths,
        Self::Endpoints,
        Self::Certificates,
    ];

    /// For results and arguments.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingresses => "ingresses",
            Self::Paths => "paths",
            Self::Endpoints => "endpoints",
            Self::Certificates => "certificates",
        }
    }
}

/// A cluster with `size` of what its series has many of.
#[derive(Clone, Copy)]
pub(crate) struct Cluster {
    pub(crate) series: Series,
    pub(crate) size: usize,
}

impl Cluster {
    /// All objects.
    pub(crate) fn snapshot(self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.apply(class());
        // As the sources do.
        let mut data = SharedData::default();
        let wildcard = Pair::new("*.example.com".to_owned());
        for n in 0..self.count(Change::Ingress) {
            snapshot.apply(self.ingress(n, 0));
        }
        for n in 0..self.services() {
            snapshot.apply(super::service(n));
        }
        for n in 0..self.count(Change::Slice) {
            snapshot.apply(self.slice(n, 0));
        }
        for n in 0..self.count(Change::Secret) {
            let secret = match self.series {
                Series::Certificates => Pair::new(host(n)).secret(n),
                _ => wildcard.secret(n),
            };
            let mut secret = secret.into();
            data.share(&mut secret);
            snapshot.apply(secret);
        }
        snapshot
    }

    /// How many objects of a kind there are.
    pub(crate) fn count(self, kind: Change) -> usize {
        match (kind, self.series) {
            (_, Series::Ingresses) => self.size,
            (Change::Ingress | Change::Secret, Series::Certificates) => self.size,
            (Change::Ingress, Series::Paths) => self.size.div_ceil(PATHS_OF_INGRESS).max(FEW),
            (Change::Slice, Series::Endpoints) => self.size.div_ceil(ENDPOINTS_OF_SLICE).max(FEW),
            (Change::Slice, _) => self.services(),
            _ => FEW,
        }
    }

    /// Change `sample` of an object of a kind: always another object, and another version of it. Numbers begin with 1.
    pub(crate) fn sample(self, kind: Change, sample: usize) -> Object {
        let count = self.count(kind);
        // Each object has its turn before one has its second.
        let n = sample.wrapping_mul(7_919) % count;
        let revision = 1 + sample.saturating_sub(1) / count;
        match kind {
            Change::Ingress => self.ingress(n, revision),
            Change::Slice => self.slice(n, revision),
            Change::Secret => Pair::new(host(n)).secret(n).into(),
        }
    }

    /// Host and path of request `n`, for a route of the cluster.
    pub(crate) fn request(self, n: usize) -> (String, String) {
        let ingress = n % self.count(Change::Ingress);
        let paths = self.paths(ingress);
        let path = paths.get(n / 7 % paths.len()).cloned().unwrap_or_default();
        (host(self.host_of(ingress)), path)
    }

    fn services(self) -> usize {
        match self.series {
            Series::Ingresses | Series::Paths => self.count(Change::Ingress),
            Series::Endpoints => FEW,
            Series::Certificates => 1,
        }
    }

    fn host_of(self, ingress: usize) -> usize {
        match self.series {
            Series::Paths => ingress % FEW,
            _ => ingress,
        }
    }

    fn paths(self, ingress: usize) -> Vec<String> {
        match self.series {
            Series::Paths => {
                let each = self.size.div_ceil(self.count(Change::Ingress));
                (0..each).map(|n| format!("/{ingress}/{n}")).collect()
            }
            Series::Certificates => vec!["/".to_owned()],
            Series::Ingresses | Series::Endpoints => super::PATHS.map(str::to_owned).into(),
        }
    }

    fn ingress(self, n: usize, revision: usize) -> Object {
        let written = Written {
            number: n,
            host: host(self.host_of(n)),
            paths: self.paths(n),
            service: n % self.services(),
            secret: match self.series {
                Series::Paths => n % FEW,
                _ => n,
            },
        };
        written.ingress(revision)
    }

    fn slice(self, n: usize, revision: usize) -> Object {
        let endpoints = match self.series {
            Series::Endpoints => self.size.div_ceil(self.count(Change::Slice)),
            _ => 2,
        };
        super::slice(n, n % self.services(), endpoints, revision)
    }
}
