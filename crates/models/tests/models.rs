//! Runs the models. Each explores every order of the steps of two or three threads.

macro_rules! models {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                headgate_models::$name();
            }
        )*
    };
}

models! {
    a_published_table_ends_every_wait
    a_local_view_never_goes_back
    permits_are_bounded
    requests_in_flight_are_bounded
    a_rejected_request_is_counted_by_no_rule
    buffers_are_counted_exactly
    requests_of_a_service_are_bounded
    a_retry_budget_is_exceeded_by_other_workers_at_most
    a_failure_is_known_to_every_later_request
    a_trial_is_claimed_once
}
