#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use super::*;
use headgate_table::{HashFormat, PrivateBytes};
use http::HeaderValue;

/// "secret", cost 4.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

fn credentials(users: &[(&str, HashFormat, &str)]) -> Arc<Credentials> {
    let hash = |format, stored: &str| PasswordHash {
        format,
        stored: PrivateBytes(stored.into()),
    };
    let hashes = users
        .iter()
        .map(|(name, format, stored)| (name.as_bytes().into(), hash(*format, stored)))
        .collect();
    Arc::new(Credentials {
        realm: "".into(),
        identity: PrivateBytes(vec![1]),
        users: Users::Basic(BasicUsers::new(
            HeaderValue::from_static("Basic realm=\"\""),
            hashes,
        )),
    })
}

fn slow() -> Arc<Credentials> {
    credentials(&[("alice", HashFormat::Bcrypt { cost: 4 }, BCRYPT)])
}

fn login(user: &str, password: &str) -> Login {
    Login {
        user: user.into(),
        password: Zeroizing::new(password.into()),
    }
}

async fn verify(passwords: &Passwords, credentials: &Arc<Credentials>, login: Login) -> Verdict {
    let key = passwords.key(&[&login.user, &login.password]);
    passwords.verify(key, credentials, login).await
}

#[tokio::test]
async fn passwords_are_verified_and_results_kept() {
    let passwords = Passwords::new(2);
    for (user, password, verdict) in [
        ("alice", "secret", Verdict::Granted),
        ("alice", "Secret", Verdict::Refused),
        ("bob", "secret", Verdict::Refused),
    ] {
        let login = login(user, password);
        let key = passwords.key(&[&login.user, &login.password]);
        assert_eq!(passwords.known(&key, Instant::now()), None);
        let found = verify(&passwords, &slow(), login).await;
        assert_eq!(found, verdict, "{user} {password}");
        let known = passwords.known(&key, Instant::now()).map(Verdict::of);
        assert_eq!(known, Some(verdict));
    }
}

#[tokio::test]
async fn fast_hashes_need_no_thread() {
    let passwords = Passwords::new(1);
    let users = credentials(&[("alice", HashFormat::Plain, "secret")]);
    assert_eq!(
        verify(&passwords, &users, login("alice", "secret")).await,
        Verdict::Granted
    );
    assert_eq!(
        verify(&passwords, &users, login("alice", "x")).await,
        Verdict::Refused
    );
    assert_eq!(
        verify(&passwords, &users, login("bob", "secret")).await,
        Verdict::Refused
    );
    let without_users = credentials(&[]);
    assert_eq!(
        verify(&passwords, &without_users, login("", "")).await,
        Verdict::Refused
    );
    assert!(passwords.queue.get().is_none());
}

/// A verifier from whose queue no job is taken, and the other end of the queue.
fn stuck() -> (Passwords, Receiver<Job>) {
    let passwords = Passwords::new(1);
    let (sender, receiver) = sync_channel(QUEUE);
    assert!(passwords.queue.set(Some(sender)).is_ok());
    (passwords, receiver)
}

#[tokio::test]
async fn concurrent_checks_of_the_same_credentials_are_one() {
    let (passwords, jobs) = stuck();
    let users = slow();
    let check = || verify(&passwords, &users, login("alice", "secret"));
    let serve = async {
        // The checks are polled first, in this order.
        let job = jobs.try_recv().unwrap();
        assert!(jobs.try_recv().is_err(), "one job");
        run(job, &passwords.shards);
    };
    let (one, two, three, ()) = tokio::join!(biased; check(), check(), check(), serve);
    assert_eq!([one, two, three], [Verdict::Granted; 3]);
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let (passwords, jobs) = stuck();
    let users = slow();
    for number in 0..QUEUE {
        let login = login("alice", &number.to_string());
        let key = passwords.key(&[&login.password]);
        assert!(passwords.pending(key, &users, login).is_some());
    }
    let found = verify(&passwords, &users, login("alice", "secret")).await;
    assert_eq!(found, Verdict::Overloaded);
    run(jobs.try_recv().unwrap(), &passwords.shards);
    let key = passwords.key(&[b"again"]);
    assert!(
        passwords
            .pending(key, &users, login("alice", "again"))
            .is_some()
    );
}

#[tokio::test]
async fn a_check_that_is_given_up_is_no_success() {
    let (passwords, jobs) = stuck();
    let users = slow();
    let give_up = async { drop(jobs) };
    let check = verify(&passwords, &users, login("alice", "secret"));
    let (verdict, ()) = tokio::join!(biased; check, give_up);
    assert_eq!(verdict, Verdict::Overloaded);
}

#[test]
fn parts_of_keys_are_not_mixed_up() {
    let passwords = Passwords::new(1);
    assert_ne!(passwords.key(&[b"a", b"bc"]), passwords.key(&[b"ab", b"c"]));
    assert_ne!(passwords.key(&[b"a"]), Passwords::new(1).key(&[b"a"]));
}
