//! Comparing a password with its stored hash, in constant time.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use headgate_table::{HashFormat, PasswordHash};
use sha_crypt::{PasswordHashRef, PasswordVerifier as _, ShaCrypt};

use super::{des_crypt, md5_crypt};

/// Longest password for crypt(3), bytes, as in libxcrypt. Some algorithms take a time that grows with its square.
const LONGEST: usize = 512;
/// Bytes of a SHA-1 digest.
const SHA1: usize = 20;

/// Whether `password` is the one of `hash`.
pub(super) fn matches(hash: &PasswordHash, password: &[u8]) -> bool {
    let stored = hash.stored.0.as_slice();
    match hash.format {
        HashFormat::Plain => equal(stored, password),
        HashFormat::Sha1 => sha1(stored, password),
        // crypt(3) takes a C string.
        _ if password.len() > LONGEST || password.contains(&0) => false,
        HashFormat::DesCrypt => {
            let computed = des_crypt::crypt(password, stored);
            computed.is_some_and(|computed| equal(&computed, stored))
        }
        HashFormat::Md5Crypt => md5(b"$1$", stored, password),
        HashFormat::Apr1 => md5(b"$apr1$", stored, password),
        HashFormat::ShaCrypt { .. } => {
            let stored = std::str::from_utf8(stored).ok();
            let hash = stored.and_then(|stored| PasswordHashRef::new(stored).ok());
            hash.is_some_and(|hash| ShaCrypt::default().verify_password(password, hash).is_ok())
        }
        HashFormat::Bcrypt { .. } => {
            let stored = std::str::from_utf8(stored).ok();
            stored.is_some_and(|stored| bcrypt::verify(password, stored).unwrap_or(false))
        }
    }
}

/// Whether both are the same, in a time that depends only on their lengths.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    verify_slices_are_equal(left, right).is_ok()
}

/// `stored` is the digest and then the salt.
fn sha1(stored: &[u8], password: &[u8]) -> bool {
    let Some((expected, salt)) = stored.split_at_checked(SHA1) else {
        return false;
    };
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(password);
    context.update(salt);
    equal(context.finish().as_ref(), expected)
}

/// `stored` is `magic`, the salt, `$` and the encoded digest.
fn md5(magic: &[u8], stored: &[u8], password: &[u8]) -> bool {
    let Some(rest) = stored.strip_prefix(magic) else {
        return false;
    };
    let mut parts = rest.splitn(2, |byte| *byte == b'$');
    let (Some(salt), Some(expected)) = (parts.next(), parts.next()) else {
        return false;
    };
    equal(&md5_crypt::digest(magic, salt, password), expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_table::PrivateBytes;

    fn check(format: HashFormat, stored: &[u8], password: &str) {
        let hash = PasswordHash {
            format,
            stored: PrivateBytes(stored.to_vec()),
        };
        let shown = String::from_utf8_lossy(stored);
        assert!(matches(&hash, password.as_bytes()), "{shown} {password}");
        for wrong in ["", "Secret", "secre", "secret\0"] {
            if wrong != password {
                assert!(!matches(&hash, wrong.as_bytes()), "{shown} {wrong:?}");
            }
        }
    }

    #[test]
    fn every_format_is_verified() {
        let sha1 = |salt: &[u8], password: &str| {
            let text = [password.as_bytes(), salt].concat();
            let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
            [digest.as_ref(), salt].concat()
        };
        let bcrypt = HashFormat::Bcrypt { cost: 4 };
        let sha = HashFormat::ShaCrypt { rounds: 5000 };
        check(HashFormat::Plain, b"secret", "secret");
        check(HashFormat::Sha1, &sha1(b"", "secret"), "secret");
        check(HashFormat::Sha1, &sha1(b"salt", "secret"), "secret");
        for (format, stored, password) in VECTORS {
            let format = match *format {
                "des" => HashFormat::DesCrypt,
                "md5" => HashFormat::Md5Crypt,
                "apr1" => HashFormat::Apr1,
                "sha" => sha,
                _ => bcrypt,
            };
            check(format, stored.as_bytes(), password);
        }
    }

    #[test]
    fn long_passwords_are_refused_at_once() {
        let hash = PasswordHash {
            format: HashFormat::ShaCrypt { rounds: 5000 },
            stored: PrivateBytes(b"$5$".to_vec()),
        };
        assert!(!matches(&hash, &vec![b'a'; 1 << 20]));
    }

    /// Made by crypt(3) of libxcrypt and by htpasswd.
    const VECTORS: &[(&str, &str, &str)] = &[
        ("des", "rqkgm0IXRZd2Y", "secret"),
        ("des", "Z.Uo5u0fIAQQ2", "secret"),
        ("md5", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "secret"),
        (
            "sha",
            "$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.",
            "secret",
        ),
        (
            "sha",
            "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
            "secret",
        ),
        (
            "sha",
            "$6$rounds=1400$anothersaltstri$/yn4xkZLNBJnMEhJmcBinTyyKB9SChvw9rUzBHCRCN5sMcwk/mEhPS8lwqreP7Xid293EwDRF11EK8YQd8Ye01",
            "secret",
        ),
        (
            "bcrypt",
            "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            "secret",
        ),
        (
            "bcrypt",
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na",
            "secret",
        ),
        ("apr1", "$apr1$ke/s3bQl$m9E/i8WPKz5eqgjRqz/A7/", "secret"),
        (
            "bcrypt",
            "$2y$04$G37WrWMp5Yon01z6vKll3emlQxGNdO3WzYpCYphrmy25Wh6ELA/3i",
            "secret",
        ),
        ("des", "rqVvsJ14emySE", "päss wörd: 1"),
        ("des", "Z.ZRBx.3E5tlU", "päss wörd: 1"),
        ("md5", "$1$saltsalt$S/bYNh/rkgdfTTqGHHuj9/", "päss wörd: 1"),
        (
            "sha",
            "$5$saltstring$14sjqmoqA9R6Nao6nQBcQKbbCm5StzlymYGku1bB0AC",
            "päss wörd: 1",
        ),
        (
            "sha",
            "$6$saltstring$m.fkSSgItsUPaPzMN7ZF00IAk7ob.3YfryurA5fpkkIceK6/IMQ9IawEnrXYSlPpoP8z7Or.e0JreV2fZmujX.",
            "päss wörd: 1",
        ),
        (
            "sha",
            "$6$rounds=1400$anothersaltstri$Hosdoq65lHTD.HbWZUE/kEsRAp6/phI7h9yJuiGSVIPGiA4h1JNDeFZiAc4gZKX.WexSW2K2u0UMSTtjoQiaH.",
            "päss wörd: 1",
        ),
        (
            "bcrypt",
            "$2b$04$abcdefghijklmnopqrstuuobMhyoZv5kbUspPZ.JpDaAEZxfyBpOi",
            "päss wörd: 1",
        ),
        (
            "bcrypt",
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.sGOHcUWU8XT3m9glmqR3NmsrngVIhTu",
            "päss wörd: 1",
        ),
        (
            "apr1",
            "$apr1$D6C5S4jL$7iqzOlgZAh.skEvf.YEql1",
            "päss wörd: 1",
        ),
        (
            "bcrypt",
            "$2y$04$TQwKLZMW41bRarbc5.83uu.kwI5lTrdyid1Gu5jpukIVZQwa/UCwC",
            "päss wörd: 1",
        ),
        ("des", "rqdxLKf5xSlbY", "a"),
        ("des", "Z.hM2dx4Hwobg", "a"),
        ("md5", "$1$saltsalt$MzDjbImyzEz2m0NTiPzNW/", "a"),
        (
            "sha",
            "$5$saltstring$7cz4bTeQ7MnNssphNhFVrITtuJYY/1tdvLL2uzLvOk8",
            "a",
        ),
        (
            "sha",
            "$6$saltstring$MO53nAXQUKXVLlsbiXyPgMsR6q10N7eF7sPvanwdXnEeCj5kE3eYaRvFv0wVW1UZ4SnNTzc1v4OCOq1ASDQZY0",
            "a",
        ),
        (
            "sha",
            "$6$rounds=1400$anothersaltstri$T9e1WPGsbdbjN9Xxb38/7m1GfMXNBiTi/gf24gYXsco9mmZszA6SH3QFtmtre5Js1wtgh7sg0z34MAWY/20Vt/",
            "a",
        ),
        (
            "bcrypt",
            "$2b$04$abcdefghijklmnopqrstuuMFdJu9yVgmagVAIC24fOZkaFqd3s9JC",
            "a",
        ),
        (
            "bcrypt",
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.crbyEJ0XFaJ9sONRyOTHdI7c4ZT.ndu",
            "a",
        ),
        ("apr1", "$apr1$dYwbQ8va$QddtdVJtLRXH4HgYyGTU//", "a"),
        (
            "bcrypt",
            "$2y$04$5gyapEGM2Gtwb3jm9q3Xae04gDcVwSgT4Z81ELKs9mkRkV7dBzV16",
            "a",
        ),
        ("des", "rqxv1x7p9PI4A", ""),
        ("des", "Z.zFzTfBZNHX.", ""),
        ("md5", "$1$saltsalt$5Jhcit4zN9UlGiA0txPkO0", ""),
        (
            "sha",
            "$5$saltstring$FdNfA4gXqvCeO6iZs7G/.wwwoywYZqo0l1pwmfWaBA7",
            "",
        ),
        (
            "sha",
            "$6$saltstring$kyGrqt6gmjAdtFLPrflEFifSYLCWWq1pyx95SvqinLDy2UHmj0sTF0MSLMwxPFZc3tu5kQckI8fks0zOPda3n1",
            "",
        ),
        (
            "sha",
            "$6$rounds=1400$anothersaltstri$ihVR5ekmi.DELSbQ/auff68BcCms2pKCqRP6mTEFdSFfNLcduzcn1A2KorEIp533IDf4WYxlzBbXGheyb9q791",
            "",
        ),
        (
            "bcrypt",
            "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq",
            "",
        ),
        (
            "bcrypt",
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy",
            "",
        ),
        (
            "des",
            "rqk51SmWfFyzI",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "des",
            "Z.RQ/bLdv/TkY",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "md5",
            "$1$saltsalt$CajEQD5M.GwKD1Prd7gpV/",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "sha",
            "$5$saltstring$h6LYUBSad1GxntklLB86R33YttCLiK6KaBdDkwU0SV5",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "sha",
            "$6$saltstring$Uaw2J7qLZEZ9pVw6AwzN0s/4eO3.UQsZuXVze4UDbt4DhFEVRBcVQp1x58Kf2JDMJ.Sw3aEQreqSaRoJH8OJI1",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "sha",
            "$6$rounds=1400$anothersaltstri$K.qsHhdUAmQ016tionrFxAkMPFDLSKmiOqIx5ZPGpM6nBwBkBfbiP3ekH7y9Rz8ApRXqwAoB3oLbeWIZrCv97.",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "bcrypt",
            "$2b$04$abcdefghijklmnopqrstuuLOPh..GOHMoVqjD/Dn5LUbiGUDGAy0G",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "bcrypt",
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.8IOVlZRwaRgOf37BB49ZmsNj2Hcts/W",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "apr1",
            "$apr1$0hGmcliu$IdJ/kDbk08k41IYomTdfR0",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
        (
            "bcrypt",
            "$2y$04$G5RBC6Us1k/l2sr4nFZSIuKF9PpsUdKFTNHxQ8CW9ECLc38/jIPvi",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ),
    ];
}
