#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use super::*;
use headgate_table::{PrivateBytes, Users};

fn users(key: Option<&[u8]>) -> DigestUsers {
    let secret = md5(&[b"Mufasa", b"testrealm@host.com", b"Circle Of Life"]);
    DigestUsers {
        secrets: [(
            b"Mufasa".as_slice().into(),
            PrivateBytes(secret.into_bytes()),
        )]
        .into(),
        nonce_key: key.map(|key| PrivateBytes(key.to_vec())),
    }
}

fn credentials(identity: &[u8]) -> Credentials {
    Credentials {
        realm: "testrealm@host.com".into(),
        identity: PrivateBytes(identity.to_vec()),
        users: Users::Digest(DigestUsers::default()),
    }
}

/// The example of RFC 2617 section 3.5.
#[test]
fn responses_are_those_of_the_standard() {
    let fields = Fields::parse(
        b"Digest username=\"Mufasa\", realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
          uri=\"/dir/index.html\", qop=auth, nc=00000001, cnonce=\"0a4f113b\", \
          response=\"6629fae49393a05397450978507c4ef1\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    )
    .unwrap();
    let users = users(None);
    assert!(verified(&fields, &users, "GET").is_some());
    assert!(verified(&fields, &users, "POST").is_none());
    let other = Fields {
        username: b"Scar".to_vec(),
        ..fields
    };
    assert!(verified(&other, &users, "GET").is_none());
}

#[test]
fn nonces_are_those_of_the_same_users_and_expire() {
    let passwords = Passwords::new(1);
    let elsewhere = Passwords::new(1);
    let shared = users(Some(b"key"));
    let own = users(None);
    let (one, two) = (credentials(b"1"), credentials(b"2"));
    let nonces = |passwords, credentials, users, now| Nonces {
        passwords,
        credentials,
        users,
        now,
    };
    let at = 1_700_000_000;
    let nonce = nonces(&passwords, &one, &shared, at).make(at);
    let accepts = |nonces: Nonces<'_>| nonces.accepts(nonce.as_bytes());
    assert!(
        accepts(nonces(&elsewhere, &one, &shared, at)),
        "every replica"
    );
    assert!(accepts(nonces(&passwords, &one, &shared, at + LIFETIME)));
    assert!(!accepts(nonces(
        &passwords,
        &one,
        &shared,
        at + LIFETIME + 1
    )));
    assert!(accepts(nonces(&passwords, &one, &shared, at - CLOCK_SKEW)));
    assert!(!accepts(nonces(
        &passwords,
        &one,
        &shared,
        at - CLOCK_SKEW - 1
    )));
    assert!(
        !accepts(nonces(&passwords, &two, &shared, at)),
        "other users"
    );
    assert!(!accepts(nonces(&passwords, &one, &own, at)), "another key");

    let nonce = nonces(&passwords, &one, &own, at).make(at);
    assert!(nonces(&passwords, &one, &own, at).accepts(nonce.as_bytes()));
    assert!(!nonces(&elsewhere, &one, &own, at).accepts(nonce.as_bytes()));
    for garbage in ["", "zzzzzzzz", &nonce[..TIME], &format!("{nonce}0")] {
        assert!(!nonces(&passwords, &one, &own, at).accepts(garbage.as_bytes()));
    }
}
