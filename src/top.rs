//! `headgate top`: the overview and the busiest routes of a running process in a terminal, from the JSON of its console.

mod client;
mod display;
mod keys;
mod text;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use headgate_console::model::{Overview, Page, RouteRow, RouteSort};
use ratatui::crossterm::event;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::client::{Client, ConsoleUrl};
use self::keys::{Screen, Step};
use crate::output;

/// Between two readings.
const INTERVAL: Duration = Duration::from_secs(2);
/// Most routes of a reading.
const ROUTES: usize = 200;

/// The command line of `headgate top`.
#[derive(Debug, clap::Args)]
pub(crate) struct TopArgs {
    /// URL of the console, such as that of `kubectl port-forward`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:10243", value_parser = ConsoleUrl::parse)]
    console: ConsoleUrl,
    /// File with the token of the console.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print it once as text, for scripts and where there is no terminal.
    #[arg(long)]
    once: bool,
    /// Order of the routes: requests, errors, latency or host.
    #[arg(long, value_name = "ORDER", default_value = "requests", value_parser = sort)]
    sort: RouteSort,
    /// Only routes with these words in host, path, namespace, object or Service.
    #[arg(long, value_name = "WORDS", default_value = "")]
    filter: String,
}

/// What is shown.
pub(crate) struct Reading {
    overview: Overview,
    routes: Page<RouteRow>,
}

fn sort(text: &str) -> Result<RouteSort, String> {
    let mut all = RouteSort::ALL.into_iter();
    all.find(|sort| sort.as_str() == text)
        .ok_or_else(|| "expected requests, errors, latency or host".to_owned())
}

/// Runs the command.
///
/// # Errors
/// When the console cannot be read, or the terminal cannot be used.
pub(crate) async fn run(args: TopArgs) -> Result<()> {
    let token = args.token_file.as_ref().map(|file| {
        let token = std::fs::read_to_string(file);
        token.with_context(|| format!("--token-file {}", file.display()))
    });
    let client = Client::new(args.console, token.transpose()?)?;
    let screen = Screen::new(args.sort, args.filter);
    if args.once {
        let reading = client.read(screen.sort, &screen.filter, ROUTES).await?;
        return output::print(&text::text(&reading));
    }
    if !std::io::stdout().is_terminal() {
        bail!("standard output is no terminal: use --once");
    }
    // A first reading before the screen is taken over, so that a wrong URL is reported as usual.
    let first = client.read(screen.sort, &screen.filter, ROUTES).await?;
    let mut terminal = ratatui::try_init().context("taking over the terminal")?;
    let shown = show(&mut terminal, &client, screen, first).await;
    ratatui::try_restore().context("giving the terminal back")?;
    shown
}

/// Shows readings until a key ends it.
async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    client: &Client,
    mut screen: Screen,
    first: Reading,
) -> Result<()> {
    let mut keys = read_keys().context("reading keys")?;
    let mut due = interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    due.tick().await;
    screen.reading = Some(first);
    loop {
        terminal.draw(|frame| display::draw(frame, &screen))?;
        let step = tokio::select! {
            _ = due.tick() => Step::Read,
            event = keys.recv() => match event {
                Some(event) => screen.handle(&event),
                None => Step::End,
            },
        };
        match step {
            Step::End => return Ok(()),
            Step::Draw => {}
            Step::Read => match client.read(screen.sort, &screen.filter, ROUTES).await {
                Ok(reading) => {
                    screen.reading = Some(reading);
                    screen.problem = None;
                }
                // The last reading stays; a process that restarts is shown when it is back.
                Err(error) => screen.problem = Some(format!("{error:#}")),
            },
        }
    }
}

/// Keys are read by a thread, because the terminal blocks it. The thread ends with the process.
fn read_keys() -> Result<mpsc::Receiver<event::Event>> {
    let (sender, keys) = mpsc::channel(16);
    let thread = std::thread::Builder::new().name("keys".to_owned());
    thread.spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(keys)
}
