//! Pages of the documentation that are made from tables in the code (`headgate flags`, `metrics`, `variables`).

use std::fmt::Write as _;

use prometheus::proto::MetricType;

pub(crate) use crate::args::flags_markdown;
pub(crate) use headgate_table::variables_markdown;

/// One metric, of whichever crate.
struct Row {
    name: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
    help: &'static str,
}

/// All metrics as Markdown tables.
pub(crate) fn metrics_markdown() -> String {
    let sections = [
        (
            "As in ingress-nginx",
            "nginx_ingress_controller_",
            "Besides their own labels they have `controller_namespace`, `controller_class` and `controller_pod`, except those of \
             certificates. `host` is left out with `--metrics-per-host=false`. Of an HTTPRoute or GRPCRoute, `namespace` and \
             `ingress` are its namespace and name, `service` is the first Service of its rule that has a weight, and `canary` is \
             the other Service of the rule that served.",
        ),
        (
            "Of Headgate",
            "headgate_",
            "Besides their own labels they have `controller_namespace`, `controller_class` and `controller_pod`.",
        ),
        (
            "Of the process",
            "process_",
            "As the libraries of Prometheus have them.",
        ),
    ];
    let mut page = String::new();
    for (title, prefix, text) in sections {
        // Writing to a string never fails.
        let _ = writeln!(page, "## {title}\n\n{text}\n");
        page.push_str("| Metric | Type | Labels | What it is |\n|---|---|---|---|\n");
        for row in rows().filter(|row| row.name.starts_with(prefix)) {
            let labels: Vec<String> = row.labels.iter().map(|name| format!("`{name}`")).collect();
            let kind = format!("{:?}", row.kind).to_lowercase();
            let (name, labels, help) = (row.name, labels.join(" "), row.help);
            let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
        }
        page.push('\n');
    }
    page
}

fn rows() -> impl Iterator<Item = Row> {
    let data_plane = headgate_proxy::METRICS.iter().map(|metric| Row {
        name: metric.name,
        kind: metric.kind,
        labels: metric.labels,
        help: metric.help,
    });
    let cluster = headgate_cluster::METRICS.iter().map(|metric| Row {
        name: metric.name,
        kind: metric.kind,
        labels: metric.labels,
        help: metric.help,
    });
    data_plane.chain(cluster)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_has_one_row() {
        let page = metrics_markdown();
        let names: BTreeSet<&str> = rows().map(|row| row.name).collect();
        assert_eq!(names.len(), rows().count());
        for name in names {
            assert_eq!(page.matches(&format!("| `{name}` |")).count(), 1, "{name}");
        }
    }

    /// What the table of a cluster's metrics says holds for those that are registered.
    #[test]
    fn metrics_of_a_cluster_are_those_of_the_table() {
        let labels = headgate_proxy::MetricLabels::default();
        let metrics = crate::controller::Metrics::new(&labels, "leader").unwrap();
        let registry = prometheus::Registry::new();
        metrics.register(&registry).unwrap();
        let table: BTreeSet<&str> = headgate_cluster::METRICS
            .iter()
            .map(|metric| metric.name)
            .collect();
        // Those with labels appear with their first sample.
        let families = registry.gather();
        assert!(families.len() > 10, "{}", families.len());
        for family in families {
            assert!(table.contains(family.name()), "{}", family.name());
        }
    }
}
