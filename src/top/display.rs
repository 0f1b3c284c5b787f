//! Draws the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};

use super::keys::Screen;
use super::text::{COLUMNS, cells, facts};

/// Lines of the chart.
const CHART: u16 = 3;
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let Some(reading) = &screen.reading else {
        return;
    };
    let facts = facts(&reading.overview);
    let lines = u16::try_from(facts.len()).unwrap_or(u16::MAX);
    let areas = Layout::vertical([
        Constraint::Length(lines),
        Constraint::Length(CHART),
        Constraint::Min(1),
        Constraint::Length(1),
    ]);
    let [above, chart, table, below] = areas.areas(frame.area());
    let facts = facts.into_iter().map(|(name, value)| {
        Line::from(vec![
            Span::styled(format!("{name:<12}"), BOLD),
            value.into(),
        ])
    });
    frame.render_widget(Paragraph::new(facts.collect::<Vec<_>>()), above);
    draw_chart(frame, screen, chart);
    draw_routes(frame, screen, table);
    frame.render_widget(bottom(screen), below);
}

/// Requests a second of the last ten minutes.
fn draw_chart(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let series = screen
        .reading
        .as_ref()
        .map(|reading| &reading.overview.recent);
    let points = series.iter().flat_map(|series| &series.points);
    let rates = points.map(|point| point.requests_per_second.unwrap_or(0.0));
    // The chart has whole numbers.
    let rates: Vec<u64> = rates.map(|rate| (rate * 10.0) as u64).collect();
    let style = Style::new().fg(Color::Cyan);
    frame.render_widget(Sparkline::default().data(&rates).style(style), area);
}

fn draw_routes(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let Some(reading) = &screen.reading else {
        return;
    };
    let rows = reading
        .routes
        .items
        .iter()
        .skip(screen.offset)
        .map(|route| {
            let is_failing = route.traffic.as_ref();
            let is_failing =
                is_failing.is_some_and(|traffic| traffic.server_errors_per_second > 0.0);
            let row = Row::new(cells(route).map(Cell::from));
            match is_failing {
                true => row.style(Style::new().fg(Color::Red)),
                false => row,
            }
        });
    let widths = [
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Fill(3),
        Constraint::Fill(2),
    ];
    let table = Table::new(rows, widths).header(Row::new(COLUMNS).style(BOLD));
    frame.render_widget(table, area);
}

/// What is typed, what is wrong, or the keys.
fn bottom(screen: &Screen) -> Paragraph<'static> {
    if let Some(typed) = &screen.typed {
        return Paragraph::new(format!("filter: {typed}_  (Enter: apply, Esc: leave)"));
    }
    if let Some(problem) = &screen.problem {
        return Paragraph::new(problem.clone()).style(Style::new().fg(Color::Red));
    }
    let filter = match &*screen.filter {
        "" => String::new(),
        filter => format!(" \"{filter}\""),
    };
    let routes = screen
        .reading
        .as_ref()
        .map_or(0, |reading| reading.routes.total);
    let by = screen.sort.as_str();
    Paragraph::new(format!(
        "{routes} routes{filter} by {by}   q quit   s order (r e l h)   / filter   arrows scroll"
    ))
    .style(DIM)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use headgate_console::model::{Overview, Page, RouteRow, RouteSort, Traffic};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

    use super::*;
    use crate::top::Reading;
    use crate::top::keys::Step;
    use crate::top::text::text;

    fn reading() -> Reading {
        let row = |host: &str, requests: f64| RouteRow {
            host: host.to_owned(),
            path: "/cart".to_owned(),
            kind: "Ingress".to_owned(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            ready_endpoints: 2,
            endpoints: 3,
            traffic: Some(Traffic {
                requests_per_second: requests,
                p99_seconds: Some(0.0123),
                ..Traffic::default()
            }),
            ..RouteRow::default()
        };
        let mut unknown = row("quiet.example", 0.0);
        unknown.traffic = None;
        Reading {
            overview: Overview {
                phase: "serving".to_owned(),
                traffic: Traffic {
                    requests_per_second: 1234.0,
                    server_error_share: Some(0.015),
                    ..Traffic::default()
                },
                ..Overview::default()
            },
            routes: Page {
                total: 20,
                offset: 0,
                limit: 3,
                items: vec![
                    row("shop.example", 120.0),
                    row("a\u{1b}[2J.example", 7.25),
                    unknown,
                ],
            },
        }
    }

    fn screen() -> Screen {
        Screen {
            reading: Some(reading()),
            ..Screen::new(RouteSort::Requests, String::new())
        }
    }

    fn drawn(screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(120, 24)).unwrap();
        terminal.draw(|frame| draw(frame, screen)).unwrap();
        let buffer = terminal.backend().buffer();
        let cells = buffer.content().chunks(usize::from(buffer.area.width));
        cells
            .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>() + "\n")
            .collect()
    }

    fn press(screen: &mut Screen, code: KeyCode) -> Step {
        screen.handle(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    #[test]
    fn the_overview_and_the_routes_are_on_the_screen() {
        let drawn = drawn(&screen());
        for text in [
            "1234/s",
            "5xx 1.5 %",
            "shop.example/cart",
            "Ingress shop/web",
            "12.3 ms",
            "2/3",
            "20 routes by requests",
        ] {
            assert!(drawn.contains(text), "{text}: {drawn}");
        }
        assert!(drawn.contains("a\\u{1b}[2J.example"), "{drawn}");
    }

    #[test]
    fn keys_order_filter_scroll_and_end() {
        let mut screen = screen();
        assert_eq!(press(&mut screen, KeyCode::Char('s')), Step::Read);
        assert_eq!(screen.sort, RouteSort::Errors);
        assert_eq!(press(&mut screen, KeyCode::Char('l')), Step::Read);
        assert_eq!(screen.sort, RouteSort::Latency);
        press(&mut screen, KeyCode::Down);
        assert_eq!(screen.offset, 1);
        assert!(!drawn(&screen).contains("shop.example"));
        press(&mut screen, KeyCode::Char('/'));
        for character in "qx".chars() {
            assert_eq!(press(&mut screen, KeyCode::Char(character)), Step::Draw);
        }
        press(&mut screen, KeyCode::Backspace);
        assert!(drawn(&screen).contains("filter: q_"));
        assert_eq!(press(&mut screen, KeyCode::Enter), Step::Read);
        assert_eq!((&*screen.filter, screen.offset), ("q", 0));
        assert!(drawn(&screen).contains("20 routes \"q\" by latency"));
        assert_eq!(press(&mut screen, KeyCode::Char('q')), Step::End);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(screen.handle(&Event::Key(interrupt)), Step::End);
    }

    #[test]
    fn a_problem_is_shown_beside_the_last_reading() {
        let drawn = drawn(&Screen {
            problem: Some("reading http://127.0.0.1:1/: refused".to_owned()),
            ..screen()
        });
        assert!(
            drawn.contains("refused") && drawn.contains("shop.example/cart"),
            "{drawn}"
        );
    }

    #[test]
    fn the_same_is_printed_once_as_text() {
        let text = text(&reading());
        let lines: Vec<&str> = text.lines().collect();
        let head = lines
            .iter()
            .position(|line| line.contains("REQ/S"))
            .unwrap();
        assert!(lines[head + 1].contains("shop.example/cart"), "{text}");
        let unknown = lines[head + 3];
        assert!(unknown.trim_start().starts_with("-  "), "{text}");
        assert_eq!(lines.last(), Some(&"and 17 more"));
        assert!(!text.contains('\u{1b}'));
    }
}
