//! The console with invented data, to look at and to test: `cargo run -p headgate-console --example console -- --hosts 20000`.
//!
//! `--address` (default 127.0.0.1:10243), `--token` (default none), `--hosts` (default 40), and `--hostile`: every text of
//! every object is one that tries to be markup. Prints its address, and runs until its standard input ends.

mod fake;

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;

use headgate_console::{Access, start};

use crate::fake::Fake;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut address = "127.0.0.1:10243".to_owned();
    let mut access = Access::default();
    let (mut hosts, mut hostile) = (40, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{flag} needs a value"))
        };
        match flag.as_str() {
            "--address" => address = value()?,
            "--token" => access = access.with_token(&value()?)?,
            "--hosts" => hosts = value()?.parse()?,
            "--hostile" => hostile = true,
            _ => return Err(format!("no such flag: {flag}").into()),
        }
    }
    let source = match hostile {
        true => Fake::new(hosts).hostile(),
        false => Fake::new(hosts),
    };
    let listener = TcpListener::bind(address)?;
    println!("http://{}/", listener.local_addr()?);
    start(listener, Arc::new(source), access)?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
