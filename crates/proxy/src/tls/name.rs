//! Distinguished names as text, as nginx and OpenSSL write them (`XN_FLAG_RFC2253`): backends and `auth-tls-match-cn` compare
//! these texts.

use std::fmt::Write as _;

use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Short names of attribute types. Others are written as their object identifier.
const SHORT: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.16", "postalAddress"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.72", "role"),
    ("2.5.4.97", "organizationIdentifier"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// `name` from its last attribute to the first, such as `CN=alice,O=shop`; ASCII without control characters.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut attributes: Vec<(usize, &AttributeTypeAndValue<'_>)> = Vec::new();
    for (set, relative) in name.iter_rdn().enumerate() {
        attributes.extend(relative.iter().map(|attribute| (set, attribute)));
    }
    let mut out = String::new();
    let mut previous = None;
    for (set, attribute) in attributes.into_iter().rev() {
        match previous {
            None => {}
            Some(previous) if previous == set => out.push('+'),
            Some(_) => out.push(','),
        }
        previous = Some(set);
        write(attribute, &mut out);
    }
    out
}

/// `name` in the former form of OpenSSL, such as `/O=shop/CN=alice`; bytes that are not printable ASCII are `\xHH`.
pub(super) fn legacy(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    for attribute in name.iter_attributes() {
        let id = attribute.attr_type().to_id_string();
        let short = SHORT.iter().find(|(known, _)| *known == id);
        out.push('/');
        out.push_str(short.map_or(id.as_str(), |(_, short)| short));
        out.push('=');
        for byte in attribute.attr_value().data {
            match byte {
                b' '..=b'~' => out.push(char::from(*byte)),
                _ => {
                    let _ = write!(out, "\\x{byte:02X}");
                }
            }
        }
    }
    out
}

/// Whether a text of `name` has a NUL byte, at which readers in C end it.
pub(super) fn has_nul(name: &X509Name<'_>) -> bool {
    let mut values = name
        .iter_attributes()
        .map(AttributeTypeAndValue::attr_value);
    values.any(|value| decoded(value).is_some_and(|text| text.contains('\0')))
}

fn write(attribute: &AttributeTypeAndValue<'_>, out: &mut String) {
    let id = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == id);
    out.push_str(short.map_or(id.as_str(), |(_, short)| short));
    out.push('=');
    let value = attribute.attr_value();
    match decoded(value).filter(|_| short.is_some()) {
        Some(text) => escape(&text, out),
        None => dump(value, out),
    }
}

/// The text of a value of a string type.
fn decoded(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => String::from_utf8(value.data.to_vec()).ok(),
        // OpenSSL takes it as Latin-1.
        Tag::T61String => Some(value.data.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, rest) = value.data.as_chunks::<2>();
            let units: Vec<u16> = units.iter().copied().map(u16::from_be_bytes).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

fn escape(text: &str, out: &mut String) {
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let is_edge = (byte == b' ' && (at == 0 || at == last)) || (byte == b'#' && at == 0);
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            _ if is_edge => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:02X}");
            }
        }
    }
}

/// The DER of a value in hexadecimal.
fn dump(value: &Any<'_>, out: &mut String) {
    let length = value.data.len();
    out.push('#');
    let _ = write!(out, "{:02X}", value.tag().0 & 0x1f);
    if length < 0x80 {
        let _ = write!(out, "{length:02X}");
    } else {
        let bytes = length.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let digits = bytes.get(zeros..).unwrap_or_default();
        let _ = write!(out, "{:02X}", 0x80 | digits.len());
        for byte in digits {
            let _ = write!(out, "{byte:02X}");
        }
    }
    for byte in value.data {
        let _ = write!(out, "{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
    use x509_parser::parse_x509_certificate;

    use super::*;

    fn subject(attributes: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in attributes {
            let value = DnValue::Utf8String((*value).to_owned());
            params.distinguished_name.push(kind.clone(), value);
        }
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let (_, parsed) = parse_x509_certificate(made.der()).unwrap();
        text(parsed.subject())
    }

    #[test]
    fn names_are_written_from_the_last_attribute() {
        let name = subject(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Shop"),
            (DnType::CommonName, "alice"),
        ]);
        assert_eq!(name, "CN=alice,O=Shop,C=DE");
        assert_eq!(subject(&[]), "");
    }

    #[test]
    fn special_characters_are_escaped() {
        for (value, expected) in [
            ("a,b+c", "CN=a\\,b\\+c"),
            ("\"<x>;\\", "CN=\\\"\\<x\\>\\;\\\\"),
            (" a b ", "CN=\\ a b\\ "),
            ("#a#", "CN=\\#a#"),
            ("J\u{fc}rg", "CN=J\\C3\\BCrg"),
            ("a\r\nb\0", "CN=a\\0D\\0Ab\\00"),
            ("a=b", "CN=a=b"),
        ] {
            assert_eq!(subject(&[(DnType::CommonName, value)]), expected);
        }
    }

    #[test]
    fn unknown_attributes_are_hexadecimal() {
        let unknown = DnType::CustomDnType(vec![1, 2, 3, 4]);
        assert_eq!(subject(&[(unknown, "ab")]), "1.2.3.4=#0C026162");
    }
}
