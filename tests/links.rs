//! Every link of the documentation leads somewhere: to a file of the repository, and to a heading in it. On the site, which
//! mdBook makes from `crates/compile/docs`, every page is listed, and links lead to its pages only.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Directories without pages of this repository.
const FOREIGN: [&str; 3] = ["target", ".git", "node_modules"];

/// The pages of the site, and the list of them.
const SITE: &str = "crates/compile/docs";
const SUMMARY: &str = "SUMMARY.md";

/// What the test needs of a page.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    /// The fragments that lead to its headings.
    anchors: Vec<String>,
}

#[test]
fn no_link_is_dead() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = pages_below(root);
    assert!(pages.contains_key(&root.join("README.md")));
    let mut dead = Vec::new();
    for (file, page) in &pages {
        for link in page.links.iter().filter(|link| !is_external(link)) {
            if let Err(problem) = follow(file, link, &pages) {
                dead.push(format!("{}: {link}: {problem}", file.display()));
            }
        }
    }
    dead.sort();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn the_site_has_every_page_and_no_link_out_of_it() {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join(SITE);
    let mut pages = pages_below(&site);
    let summary = pages.remove(&site.join(SUMMARY)).unwrap();
    let listed: BTreeSet<PathBuf> = summary.links.iter().map(|link| site.join(link)).collect();
    assert_eq!(listed.len(), summary.links.len(), "a page is listed twice");
    let present: BTreeSet<PathBuf> = pages.keys().cloned().collect();
    assert_eq!(listed, present, "{SUMMARY} and the pages beside it differ");
    for (file, page) in &pages {
        for link in page.links.iter().filter(|link| !is_external(link)) {
            let (path, _) = link.split_once('#').unwrap_or((link, ""));
            let target = normal(&site.join(path));
            assert!(
                path.is_empty() || pages.contains_key(&target),
                "{}: {link} is no page of the site",
                file.display()
            );
        }
    }
}

#[test]
fn includes_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write(
        "whole.md",
        "# One\n<!-- ANCHOR: part -->\n## Two\n[x][y]\n<!-- ANCHOR_END: part -->\n## Three\n\n[y]: there.md\n",
    );
    write("all.md", "[y]: here.md\n\n{{#include whole.md}}\n");
    write("part.md", "[y]: here.md\n\n{{#include whole.md:part}}\n");
    let all = Page::read(&directory.path().join("all.md"));
    assert_eq!(all.anchors, ["one", "two", "three"]);
    assert_eq!(all.links, ["here.md"], "the first definition counts");
    let part = Page::read(&directory.path().join("part.md"));
    assert_eq!(part.anchors, ["two"]);
    assert_eq!(part.links, ["here.md"]);
}

#[test]
fn dead_links_are_found() {
    let page = Page::parse("# A *b* `c_d`\n\n## A b c_d\n\n[x](#a-b-c_d) [y](other.md)");
    assert_eq!(page.anchors, ["a-b-c_d", "a-b-c_d-1"]);
    let file = Path::new("/none/page.md").to_path_buf();
    let pages = HashMap::from([(file.clone(), page)]);
    assert!(follow(&file, "#a-b-c_d-1", &pages).is_ok());
    assert!(follow(&file, "#b", &pages).is_err());
    assert!(follow(&file, "other.md", &pages).is_err());
}

fn pages_below(directory: &Path) -> HashMap<PathBuf, Page> {
    let mut files = Vec::new();
    collect(directory, &mut files);
    files
        .into_iter()
        .map(|file| (file.clone(), Page::read(&file)))
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let is_foreign = FOREIGN.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && !is_foreign {
            collect(&path, files);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
}

fn is_external(link: &str) -> bool {
    ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| link.starts_with(scheme))
}

fn follow(from: &Path, link: &str, pages: &HashMap<PathBuf, Page>) -> Result<(), String> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => from.to_path_buf(),
        path => normal(&from.parent().unwrap().join(path)),
    };
    if !path.is_empty() && !target.exists() {
        return Err("no such file".into());
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let page = pages.get(&target).ok_or("not a page")?;
    let found = page.anchors.iter().any(|known| known == anchor);
    found.then_some(()).ok_or_else(|| "no such heading".into())
}

/// `path` without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

/// The text of a page with the lines `{{#include PATH}}` and `{{#include PATH:ANCHOR}}` replaced, as mdBook does it.
fn expanded(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let include = |line: &str| {
        let reference = line.strip_prefix("{{#include ")?.strip_suffix("}}")?;
        let (path, anchor) = reference.split_once(':').unwrap_or((reference, ""));
        let included = expanded(&file.parent()?.join(path));
        Some(if anchor.is_empty() {
            included
        } else {
            part(&included, anchor).unwrap_or_else(|| panic!("{reference}: no such anchor"))
        })
    };
    let lines = text.lines();
    let lines = lines.map(|line| include(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines between the comments `ANCHOR: name` and `ANCHOR_END: name`.
fn part(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<!-- ANCHOR: {name} -->\n"))?;
    let (part, _) = rest.split_once(&format!("<!-- ANCHOR_END: {name} -->"))?;
    Some(part.to_owned())
}

impl Page {
    fn read(file: &Path) -> Self {
        Self::parse(&expanded(file))
    }

    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.to_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    page.add_anchor(&heading.take().unwrap_or_default());
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// The fragment of a heading as code hosts make it: lower case, hyphens for spaces, without punctuation; a second heading
    /// of the same text has a number.
    fn add_anchor(&mut self, heading: &str) {
        let heading = heading.trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let numbered = format!("{anchor}-");
        let same = |known: &&String| {
            let number = known.strip_prefix(&numbered);
            **known == anchor || number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let number = self.anchors.iter().filter(same).count();
        self.anchors.push(match number {
            0 => anchor,
            number => format!("{numbered}{number}"),
        });
    }
}
