//! Charts as SVG, made by the server and coloured by the style sheet. Each says in words what it shows.

mod bar;
mod lines;
mod scale;

pub(crate) use self::bar::{Part, bar};
pub(crate) use self::lines::{Chart, Line};
