//! The description of the JSON: a file, which a test makes from the types of the model.

/// Its path.
pub(crate) const PATH: &str = "/openapi.json";
/// Its content.
pub(crate) const DOCUMENT: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    use schemars::generate::{Contract, SchemaSettings};
    use schemars::{JsonSchema, SchemaGenerator};
    use serde_json::{Value, json};

    use super::DOCUMENT;
    use crate::address::Target;
    use crate::model::{
        AnnotationPage, CanaryRow, CertificatesPage, CheckPage, Explained, FindingsPage, HostPage,
        HostRow, Overview, Page, RoutePage, RouteRow, TapMessage,
    };

    /// Parameters of lists.
    const SEARCH: [Parameter; 3] = [
        (
            "q",
            "string",
            "Words, all of which a row has in its names, ignoring case",
        ),
        (
            "offset",
            "integer",
            "Rows to leave out at the beginning; default 0",
        ),
        ("limit", "integer", "Most rows, 1 to 500; default 50"),
    ];

    /// Name, type and meaning.
    type Parameter = (&'static str, &'static str, &'static str);

    /// A path with what it takes and gives.
    struct Operation {
        path: &'static str,
        summary: &'static str,
        parameters: Vec<Parameter>,
        schema: fn(&mut SchemaGenerator) -> schemars::Schema,
    }

    fn operation<T: JsonSchema>(
        path: &'static str,
        summary: &'static str,
        parameters: &[Parameter],
    ) -> Operation {
        Operation {
            path,
            summary,
            parameters: parameters.to_vec(),
            schema: SchemaGenerator::subschema_for::<T>,
        }
    }

    fn searched(more: &[Parameter]) -> Vec<Parameter> {
        [more, &SEARCH].concat()
    }

    fn operations() -> Vec<Operation> {
        let routes = searched(&[
            ("host", "string", "The host of the routes, as configured"),
            ("namespace", "string", "The namespace of their objects"),
            ("object", "string", "The name of their object"),
            (
                "service",
                "string",
                "The name of a Service that they lead to",
            ),
            (
                "sort",
                "string",
                "host, requests, errors or latency; default host",
            ),
        ]);
        let findings = searched(&[("severity", "string", "error, warning or info; default all")]);
        let explain = [
            (
                "url",
                "string",
                "The URL, such as https://shop.example/cart; required",
            ),
            ("method", "string", "The method; default GET"),
            (
                "header",
                "string",
                "A header field, such as X-Canary: always; may be repeated",
            ),
            ("from", "string", "Address of the client; default 127.0.0.1"),
        ];
        let live = [
            ("host", "string", "Part of the host"),
            ("path", "string", "Beginning of the path"),
            (
                "status",
                "string",
                "A status such as 404, or a class such as 5xx",
            ),
            ("client", "string", "An address or network"),
            (
                "ingress",
                "string",
                "The object of the route, name or namespace/name",
            ),
            (
                "queries",
                "string",
                "masked or shown: the values of queries; default masked",
            ),
            ("rate", "integer", "Most requests a second"),
        ];
        let range = [(
            "range",
            "string",
            "10m or 1h: what the page charts; the JSON has both",
        )];
        vec![
            operation::<Overview>("/", "The state and the traffic of the process", &range),
            operation::<Page<RouteRow>>("/routes", "Routes", &routes),
            operation::<RoutePage>("/routes/{id}", "A route", &[]),
            operation::<Page<HostRow>>("/hosts", "Hosts", &SEARCH),
            operation::<HostPage>("/hosts/{name}", "A host", &[]),
            operation::<Page<CanaryRow>>("/canaries", "Canaries and other splits", &SEARCH),
            operation::<FindingsPage>("/findings", "What is wrong with objects", &findings),
            operation::<CertificatesPage>("/certificates", "Certificates in service", &SEARCH),
            operation::<Explained>("/explain", "What would happen to a request", &explain),
            operation::<Vec<TapMessage>>(
                "/live",
                "The requests of the next second; as application/x-ndjson without an end, one a line",
                &live,
            ),
            operation::<CheckPage>("/check", "The report of headgate check", &SEARCH),
            operation::<AnnotationPage>("/annotations/{name}", "What an annotation does", &[]),
        ]
    }

    fn document() -> Value {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.contract = Contract::Serialize;
            settings.meta_schema = None;
        });
        let mut generator = settings.into_generator();
        let mut paths = serde_json::Map::new();
        for operation in operations() {
            let schema = (operation.schema)(&mut generator);
            paths.insert(operation.path.into(), described(&operation, &schema));
        }
        let mut schemas = generator.take_definitions(true);
        schemas.insert(
            "Error".into(),
            json!({
                "description": "Why there is no answer.",
                "type": "object",
                "properties": { "error": { "type": "string" } },
                "required": ["error"],
            }),
        );
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Headgate console",
                "version": "1",
                "description": "What the pages of the console show, with Accept: application/json. Times are seconds, instants \
                                are Unix seconds; a number that is not known is null.",
            },
            "security": [{}, { "token": [] }],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            },
        })
    }

    fn described(operation: &Operation, schema: &schemars::Schema) -> Value {
        let in_path = operation.path.split_once('{');
        let in_path = in_path.map(|(_, name)| {
            let name = name.trim_end_matches('}');
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        });
        let in_query = operation.parameters.iter().map(|(name, kind, meaning)| {
            json!({
                "name": name,
                "in": "query",
                "description": meaning,
                "required": meaning.ends_with("; required"),
                "schema": { "type": kind },
            })
        });
        let parameters: Vec<Value> = in_path.into_iter().chain(in_query).collect();
        let error = json!({ "$ref": "#/components/schemas/Error" });
        json!({
            "get": {
                "summary": operation.summary,
                "parameters": parameters,
                "responses": {
                    "200": {
                        "description": "The data.",
                        "content": { "application/json": { "schema": schema } },
                    },
                    "default": {
                        "description": "Why there is none.",
                        "content": { "application/json": { "schema": error } },
                    },
                },
            },
        })
    }

    #[test]
    fn the_file_is_that_of_the_types() {
        let expected = format!("{:#}\n", document());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/openapi.json");
            std::fs::write(path, &expected).unwrap();
            return;
        }
        assert!(
            DOCUMENT == expected,
            "openapi.json differs from the model; run with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn parameters_are_those_that_pages_take() {
        for operation in operations() {
            let path = operation.path.replace(['{', '}'], "");
            let error = Target::parse(&path, "none=1").unwrap_err().to_string();
            let known = error
                .split_once("there are: ")
                .map_or("", |(_, known)| known);
            let mut known: Vec<&str> = known.split(", ").filter(|name| !name.is_empty()).collect();
            let mut described: Vec<&str> = operation.parameters.iter().map(|one| one.0).collect();
            known.sort_unstable();
            described.sort_unstable();
            assert_eq!(known, described, "{path}");
        }
    }
}
