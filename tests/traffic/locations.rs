//! Locations of clients, from a database that the test writes.

use headgate_testkit::{Echo, Request, Scenario};

use super::setup::BINARY;

fn text(text: &str) -> Vec<u8> {
    [&[0x40 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0xE0 | u8::try_from(entries.len()).unwrap()];
    for (key, value) in entries {
        out.extend(text(key));
        out.extend(value);
    }
    out
}

/// A database in the MaxMind format (version 2): addresses below 128.0.0.0 are in `country`.
fn database(country: &str) -> Vec<u8> {
    let tree = [0, 0, 17, 0, 0, 1];
    let record = map(&[("country", map(&[("iso_code", text(country))]))]);
    let metadata = map(&[
        ("node_count", vec![0xC1, 1]),
        ("record_size", vec![0xA1, 24]),
        ("ip_version", vec![0xA1, 4]),
        ("database_type", text("Test")),
        ("languages", vec![0x00, 0x04]),
        ("binary_format_major_version", vec![0xA1, 2]),
        ("binary_format_minor_version", vec![0xA1, 0]),
        ("build_epoch", vec![0x01, 0x02, 1]),
        ("description", map(&[])),
    ]);
    let marker = b"\xAB\xCD\xEFMaxMind.com";
    [&tree[..], &[0; 16], &record, marker, &metadata].concat()
}

#[test]
fn variables_have_the_location_of_the_client() {
    let (web, folder) = (Echo::start("web"), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("GeoLite2-City.mmdb"), database("GB")).unwrap();
    let program = Scenario::simple(
        web.address(),
        &[("upstream-vhost", "$geoip2_city_country_code.example")],
    )
    .settings(&[
        ("use-geoip2", "true"),
        (
            "log-format-upstream",
            "in $geoip2_city_country_code $request_uri",
        ),
    ])
    .argument(&format!("--maxmind-directory={}", folder.path().display()))
    .start(BINARY);
    let response = Request::get("/geo").send(program.http()).is(200);
    response.echo().has("host", "GB.example");
    program.until_access_log("the location", |line| line == "in GB /geo");
}
