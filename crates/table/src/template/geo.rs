//! Variables of the client's location, from databases (behaviour.md 10).

/// `$geoip2_*`: a value that a database has for the client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeoVariable {
    name: &'static str,
    /// Databases that have it, without `GeoLite2-` or `GeoIP2-`.
    pub databases: &'static [&'static str],
    /// Where it is in a record: names, or the index of a list.
    pub path: &'static [&'static str],
    /// Its value if a database has none for the address.
    pub default: &'static str,
}

impl GeoVariable {
    /// All names, without `$geoip2_`.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|variable| variable.name)
    }

    /// The variable of this name, which is without `$geoip2_`.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|variable| variable.name == name).copied()
    }
}

const fn of(
    name: &'static str,
    databases: &'static [&'static str],
    path: &'static [&'static str],
) -> GeoVariable {
    GeoVariable {
        name,
        databases,
        path,
        default: "",
    }
}

const fn flag(name: &'static str) -> GeoVariable {
    GeoVariable {
        default: "0",
        ..of(name, ANONYMOUS, &[])
    }
}

const COUNTRY: &[&str] = &["Country"];
const CITY: &[&str] = &["City"];
const ASN: &[&str] = &["ASN", "ISP"];
const ISP: &[&str] = &["ISP"];
const CONNECTION: &[&str] = &["Connection-Type"];
const ANONYMOUS: &[&str] = &["Anonymous-IP"];

const ALL: [GeoVariable; 35] = [
    of("country_code", COUNTRY, &["country", "iso_code"]),
    of("country_name", COUNTRY, &["country", "names", "en"]),
    of("country_geoname_id", COUNTRY, &["country", "geoname_id"]),
    of("continent_code", COUNTRY, &["continent", "code"]),
    of("continent_name", COUNTRY, &["continent", "names", "en"]),
    of(
        "continent_geoname_id",
        COUNTRY,
        &["continent", "geoname_id"],
    ),
    of("city_country_code", CITY, &["country", "iso_code"]),
    of("city_country_name", CITY, &["country", "names", "en"]),
    of("city_country_geoname_id", CITY, &["country", "geoname_id"]),
    of("city", CITY, &["city", "names", "en"]),
    of("city_geoname_id", CITY, &["city", "geoname_id"]),
    of("postal_code", CITY, &["postal", "code"]),
    of("dma_code", CITY, &["location", "metro_code"]),
    of("latitude", CITY, &["location", "latitude"]),
    of("longitude", CITY, &["location", "longitude"]),
    of("time_zone", CITY, &["location", "time_zone"]),
    of("region_code", CITY, &["subdivisions", "0", "iso_code"]),
    of("region_name", CITY, &["subdivisions", "0", "names", "en"]),
    of(
        "region_geoname_id",
        CITY,
        &["subdivisions", "0", "geoname_id"],
    ),
    of("subregion_code", CITY, &["subdivisions", "1", "iso_code"]),
    of(
        "subregion_name",
        CITY,
        &["subdivisions", "1", "names", "en"],
    ),
    of(
        "subregion_geoname_id",
        CITY,
        &["subdivisions", "1", "geoname_id"],
    ),
    of("city_continent_code", CITY, &["continent", "code"]),
    of("city_continent_name", CITY, &["continent", "names", "en"]),
    of("asn", ASN, &["autonomous_system_number"]),
    of("org", &["ASN"], &["autonomous_system_organization"]),
    of("isp", ISP, &["isp"]),
    of("isp_org", ISP, &["organization"]),
    of("connection_type", CONNECTION, &["connection_type"]),
    of("is_anon", ANONYMOUS, &["is_anonymous"]),
    GeoVariable {
        path: &["is_anonymous"],
        ..flag("is_anonymous")
    },
    GeoVariable {
        path: &["is_anonymous_vpn"],
        ..flag("is_anonymous_vpn")
    },
    GeoVariable {
        path: &["is_hosting_provider"],
        ..flag("is_hosting_provider")
    },
    GeoVariable {
        path: &["is_public_proxy"],
        ..flag("is_public_proxy")
    },
    GeoVariable {
        path: &["is_tor_exit_node"],
        ..flag("is_tor_exit_node")
    },
];
