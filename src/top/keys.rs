//! What is on the screen, and what keys do to it.

use headgate_console::model::RouteSort;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::Reading;

/// The state of the screen.
pub(super) struct Screen {
    pub(super) reading: Option<Reading>,
    pub(super) sort: RouteSort,
    /// The words that routes have.
    pub(super) filter: String,
    /// The words while they are typed.
    pub(super) typed: Option<String>,
    /// Routes that are scrolled away.
    pub(super) offset: usize,
    /// Why there was no new reading.
    pub(super) problem: Option<String>,
}

/// What follows an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Draw,
    /// Other routes are wanted.
    Read,
    End,
}

impl Screen {
    pub(super) fn new(sort: RouteSort, filter: String) -> Self {
        Self {
            reading: None,
            sort,
            filter,
            typed: None,
            offset: 0,
            problem: None,
        }
    }

    /// Does what a key means.
    pub(super) fn handle(&mut self, event: &Event) -> Step {
        let Event::Key(key) = event else {
            return Step::Draw;
        };
        if key.kind == KeyEventKind::Release {
            return Step::Draw;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Step::End;
        }
        match self.typed.take() {
            Some(typed) => self.typing(*key, typed),
            None => self.command(*key),
        }
    }

    fn command(&mut self, key: KeyEvent) -> Step {
        let rows = self
            .reading
            .as_ref()
            .map_or(0, |reading| reading.routes.items.len());
        let last = rows.saturating_sub(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Step::End,
            KeyCode::Char('s') => {
                let mut all = RouteSort::ALL.into_iter().cycle();
                let now = self.sort;
                let _ = all.by_ref().find(|sort| *sort == now);
                self.order(all.next().unwrap_or_default())
            }
            KeyCode::Char('r') => self.order(RouteSort::Requests),
            KeyCode::Char('e') => self.order(RouteSort::Errors),
            KeyCode::Char('l') => self.order(RouteSort::Latency),
            KeyCode::Char('h') => self.order(RouteSort::Host),
            KeyCode::Char('/') => {
                self.typed = Some(self.filter.clone());
                Step::Draw
            }
            KeyCode::Down | KeyCode::Char('j') => {
                self.scroll(self.offset.saturating_add(1).min(last))
            }
            KeyCode::Up | KeyCode::Char('k') => self.scroll(self.offset.saturating_sub(1)),
            KeyCode::PageDown => self.scroll(self.offset.saturating_add(10).min(last)),
            KeyCode::PageUp => self.scroll(self.offset.saturating_sub(10)),
            KeyCode::Home => self.scroll(0),
            KeyCode::End => self.scroll(last),
            _ => Step::Draw,
        }
    }

    fn typing(&mut self, key: KeyEvent, mut typed: String) -> Step {
        match key.code {
            KeyCode::Enter => {
                self.filter = typed;
                self.offset = 0;
                return Step::Read;
            }
            KeyCode::Esc => return Step::Draw,
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Char(character) => typed.push(character),
            _ => {}
        }
        self.typed = Some(typed);
        Step::Draw
    }

    fn order(&mut self, sort: RouteSort) -> Step {
        self.sort = sort;
        self.offset = 0;
        Step::Read
    }

    fn scroll(&mut self, offset: usize) -> Step {
        self.offset = offset;
        Step::Draw
    }
}
