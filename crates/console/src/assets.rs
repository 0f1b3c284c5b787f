//! Style, scripts and icon, which are part of the program.

/// A file that pages refer to.
pub(crate) struct Asset {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its media type.
    pub(crate) kind: &'static str,
    pub(crate) content: &'static str,
    /// Of its content: a new one gets another link, so that browsers keep the file for ever.
    version: u64,
}

pub(crate) static STYLE: Asset = Asset::new(
    "console.css",
    "text/css; charset=utf-8",
    include_str!("assets/console.css"),
);
pub(crate) static PAGE: Asset = Asset::script("page.js", include_str!("assets/page.js"));
pub(crate) static LIVE: Asset = Asset::script("live.js", include_str!("assets/live.js"));
pub(crate) static TAP: Asset = Asset::script("tap.js", include_str!("assets/tap.js"));
pub(crate) static ICON: Asset =
    Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg"));

static ALL: [&Asset; 5] = [&STYLE, &PAGE, &LIVE, &TAP, &ICON];

impl Asset {
    const fn new(name: &'static str, kind: &'static str, content: &'static str) -> Self {
        Self {
            name,
            kind,
            content,
            version: fingerprint(content.as_bytes()),
        }
    }

    const fn script(name: &'static str, content: &'static str) -> Self {
        Self::new(name, "text/javascript; charset=utf-8", content)
    }

    /// The link to it.
    pub(crate) fn link(&self) -> String {
        format!("/assets/{}?v={:016x}", self.name, self.version)
    }

    /// The one with this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|asset| asset.name == name)
    }
}

/// FNV-1a, which can be computed at compile time.
const fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}
