//! Cipher suites by their names in OpenSSL and in the ConfigMap.

use headgate_table::KeyExchange;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, SupportedCipherSuite};

const TLS12: [(&str, SupportedCipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The library's cryptography with the TLS 1.2 suites of `names`, in their order; names of suites that it does not have
/// are ignored, and if none remains, all of the library's are used. The suites of TLS 1.3 are always all enabled. If `groups`
/// are empty, the library's are used.
pub(crate) fn provider(names: &[String], groups: &[KeyExchange]) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if !groups.is_empty() {
        provider.kx_groups = groups.iter().copied().map(group).collect();
    }
    let chosen: Vec<SupportedCipherSuite> = names.iter().filter_map(|name| tls12(name)).collect();
    if !chosen.is_empty() {
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some());
        provider.cipher_suites.extend(chosen);
    }
    provider
}

/// The name of `suite` in OpenSSL; empty for one that is never negotiated.
pub(super) fn name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => TLS12
            .iter()
            .find(|(_, known)| known.suite() == other)
            .map_or("", |(name, _)| name),
    }
}

fn group(group: KeyExchange) -> &'static dyn SupportedKxGroup {
    match group {
        KeyExchange::X25519MlKem768 => kx_group::X25519MLKEM768,
        KeyExchange::X25519 => kx_group::X25519,
        KeyExchange::P256 => kx_group::SECP256R1,
        KeyExchange::P384 => kx_group::SECP384R1,
    }
}

fn tls12(name: &str) -> Option<SupportedCipherSuite> {
    TLS12
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
        .map(|(_, suite)| *suite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suites(names: &[&str]) -> Vec<CipherSuite> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let provider = provider(&names, &[]);
        provider
            .cipher_suites
            .iter()
            .filter(|suite| suite.tls13().is_none())
            .map(SupportedCipherSuite::suite)
            .collect()
    }

    #[test]
    fn order_is_kept_and_unknown_names_are_ignored() {
        let chosen = suites(&[
            "DHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ecdhe-rsa-aes128-gcm-sha256",
        ]);
        assert_eq!(
            chosen,
            [
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            ]
        );
    }

    #[test]
    fn without_known_names_all_suites_are_used() {
        assert_eq!(suites(&["DHE-RSA-AES128-GCM-SHA256"]).len(), 6);
        assert_eq!(suites(&[]).len(), 6);
    }
}
