//! nginx's `stub_status` page, which the catch-all host shows to loopback clients (behaviour.md 2.6).

use super::Telemetry;
use super::count::Count;
use super::worker::Counters;

impl Telemetry {
    /// The counters of all workers in the format of nginx.
    pub(crate) fn status_page(&self) -> String {
        let sum = |count: fn(&Counters) -> &Count| -> u64 {
            self.workers
                .iter()
                .map(|worker| count(worker).value())
                .sum()
        };
        let [reading, writing, waiting] = [
            sum(|worker| &worker.states[0]),
            sum(|worker| &worker.states[1]),
            sum(|worker| &worker.states[2]),
        ];
        format!(
            "Active connections: {} \nserver accepts handled requests\n {} {} {} \n\
             Reading: {reading} Writing: {writing} Waiting: {waiting} \n",
            sum(|worker| &worker.active),
            sum(|worker| &worker.accepted),
            sum(|worker| &worker.handled),
            sum(|worker| &worker.requests),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::current::testing::current;
    use crate::telemetry::testing::config;
    use crate::telemetry::{ConnectionState, Telemetry, WorkerTelemetry};

    #[test]
    fn counters_in_the_format_of_nginx() {
        let telemetry = Telemetry::new(&config());
        let worker = WorkerTelemetry::new(&telemetry, 0, current());
        let (first, second) = (worker.connection(), worker.connection());
        first.enter(ConnectionState::Writing);
        second.enter(ConnectionState::Waiting);
        drop(worker.connection());
        assert_eq!(
            telemetry.status_page(),
            "Active connections: 2 \nserver accepts handled requests\n 3 3 0 \nReading: 0 Writing: 1 Waiting: 1 \n"
        );
    }
}
