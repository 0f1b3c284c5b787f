//! An annotation as the documentation has it.

use headgate_compile::annotations::{Annotation, all, find};
use headgate_console::model::AnnotationPage;

pub(super) fn annotation(name: &str) -> Option<AnnotationPage> {
    let by_alias = || all().find(|one| one.aliases.contains(&name));
    find(name).or_else(by_alias).map(page)
}

fn page(annotation: &Annotation) -> AnnotationPage {
    let aliases = annotation.aliases.iter();
    AnnotationPage {
        name: annotation.entry.name.to_owned(),
        aliases: aliases.map(|alias| (*alias).to_owned()).collect(),
        value: annotation.expected(),
        default: annotation.entry.default.to_owned(),
        config_map_key: annotation.configmap_key.map(str::to_owned),
        risk: annotation.risk.as_str().to_owned(),
        invalid_value: annotation.invalid_value().to_owned(),
        support: annotation.support(),
        description: annotation.entry.doc.to_owned(),
        difference: annotation.difference(),
    }
}
