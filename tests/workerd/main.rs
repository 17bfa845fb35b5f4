//! The built Worker in workerd, over HTTP: one `wrangler dev` for the whole run, on a free port
//! and a state folder that is thrown away. It is stopped when this process ends, however it ends.

#![allow(missing_docs, reason = "test names say what they show")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that meets the unexpected should stop there"
)]

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod admin;
mod api_keys;
mod attempts;
mod cleanup;
mod client;
mod forgeries;
mod gateway;
mod hostile;
mod keys;
mod lifecycle;
mod limits;
mod mail;
mod mfa;
mod origins;
mod paths;
mod perimeter;
mod policy;
mod races;
mod server;
mod sessions;
mod status_table;
mod story;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

use self::server::Server;

/// A test over the running Worker.
type Test = fn(&Server);

/// A test's name in the report and the test itself.
macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*]
    };
}

/// They run side by side.
const TESTS: &[(&str, Test)] = tests![
    accounts::a_first_visit,
    accounts::what_is_taken_or_bad_is_named,
    accounts::wrong_and_unknown_are_one_answer,
    accounts::the_sixth_sign_in_in_a_minute_is_refused,
    accounts::tokens_rotate_and_theft_ends_the_session,
    accounts::logout_is_noticed_by_the_next_request,
    admin::a_role_is_made_granted_used_and_removed,
    admin::two_roles_that_would_inherit_each_other_do_not,
    admin::whoever_is_looked_after_is_found_changed_and_ended,
    admin::an_account_is_made_by_invitation_and_counted,
    api_keys::a_key_is_made_used_rotated_and_ended,
    api_keys::of_ten_that_rotate_a_key_at_once_one_does,
    attempts::of_fifty_at_once_five_are_looked_at_whoever_exists,
    attempts::a_known_browser_signs_in_while_strangers_are_shut_out,
    gateway::the_origin_sees_the_caller_and_nothing_forged,
    gateway::a_browser_without_a_session_is_led_to_where_it_signs_in,
    gateway::bodies_and_answers_stream_through,
    gateway::limits_are_shown_and_kept,
    gateway::paths_are_taken_one_way,
    hostile::forged_tokens_are_refused,
    hostile::misshapen_tokens_are_refused,
    hostile::a_body_that_never_ends_is_a_408,
    hostile::a_refusal_does_not_wait_for_a_body,
    hostile::a_body_that_is_too_large_is_always_answered,
    hostile::broken_requests_get_an_answer,
    origins::an_origin_cannot_reach_beyond_its_routes,
    origins::whose_pages_may_read_is_the_routes_to_say,
    origins::what_an_origin_sends_arrives_as_it_is,
    origins::an_origin_that_fails_is_a_502_or_504_with_an_id,
    origins::an_origin_is_told_of_one_framing,
    origins::what_may_be_asked_twice_is_asked_once_more,
    forgeries::no_spelling_of_a_reserved_name_reaches_an_origin,
    forgeries::what_belongs_to_a_connection_ends_at_the_gateway,
    paths::no_path_reaches_another_routes_origin,
    perimeter::no_other_host_is_answered_for,
    perimeter::preflights_are_answered_for_what_there_is,
    perimeter::an_origins_answer_gets_what_it_left_out,
    perimeter::the_sixty_first_request_in_a_minute_is_refused,
    races::one_of_fifty_registrations_wins,
    races::five_of_forty_sign_ins_are_admitted,
    races::twenty_refreshes_have_one_successor,
    races::forty_first_requests_all_verify,
    keys::who_races_for_the_next_key_finds_one,
    limits::fifty_of_two_hundred_at_once_are_admitted,
    limits::what_one_limit_refuses_is_charged_to_no_other,
    limits::three_an_hour_register_from_one_address,
    mail::addresses_are_proven_and_passwords_chosen_by_mail,
    mfa::one_code_signs_in_once_however_many_come_with_it,
    mfa::guessing_from_many_addresses_closes_the_account_for_longer_each_time,
    mfa::half_a_sign_in_opens_nothing_else_and_is_over_soon,
    mfa::it_is_enrolled_and_taken_off_by_who_holds_everything,
    mfa::a_route_that_wants_it_just_now_is_stepped_up_to,
    mfa::a_browser_signs_in_with_a_recovery_code_and_its_owner_is_told,
    sessions::a_browser_signs_in_and_out,
    sessions::sessions_are_listed_and_ended_from_afar,
    story::from_registration_to_deactivation,
    status_table::every_endpoint_and_route_answers_every_caller_as_the_table_says,
];

/// They stop and start things, one after the other.
const LIFECYCLE: &[(&str, Test)] = tests![
    keys::keys_follow_one_another,
    keys::an_emergency_is_in_force_at_once_and_races_leave_one_key,
    keys::the_cron_adds_the_next_key_once,
    attempts::the_cron_forgets_what_counts_no_more,
    cleanup::the_cron_deletes_sessions_and_audit_rows_that_are_over,
    keys::keys_are_sealed_anew_without_downtime,
    lifecycle::a_role_is_granted_while_it_runs,
    lifecycle::users_and_tokens_outlive_a_restart,
    lifecycle::the_probe_measures_a_revocation_and_health_tells_of_everything,
    policy::a_policy_is_put_live_tried_and_rolled_back,
    limits::what_was_counted_outlives_a_restart,
    limits::an_idle_object_deletes_itself,
    limits::what_is_over_is_deleted_while_it_counts,
    mail::a_mail_api_is_handed_each_mail_with_its_id,
    races::without_a_grace_the_first_replay_is_theft_and_use_is_noted_where_it_happens,
    perimeter::production_answers_on_its_own_host_and_leads_to_https,
    lifecycle::a_dead_origin_is_a_502,
    lifecycle::a_bad_configuration_stops_it_with_one_sentence,
];

fn trials(tests: &'static [(&'static str, Test)], server: &Arc<Server>) -> Vec<Trial> {
    let trial = |(name, test): &(&'static str, Test)| {
        let (server, test) = (server.clone(), *test);
        Trial::test(*name, move || {
            test(&server);
            Ok::<(), Failed>(())
        })
    };
    tests.iter().map(trial).collect()
}

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    if args.list {
        let named = |tests: &[(&'static str, Test)]| {
            tests.iter().map(|(name, _)| Trial::test(*name, || Ok(()))).collect::<Vec<_>>()
        };
        return libtest_mimic::run(&args, named(&[TESTS, LIFECYCLE].concat())).exit_code();
    }
    let server = Arc::new(Server::start());
    args.test_threads.get_or_insert(4);
    let first = libtest_mimic::run(&args, trials(TESTS, &server));
    args.test_threads = Some(1);
    let second = libtest_mimic::run(&args, trials(LIFECYCLE, &server));
    if first.has_failed() || second.has_failed() {
        eprintln!("What the Worker logged of faults:\n{}", server.faults().join("\n"));
    }
    server.stop();
    if first.has_failed() || second.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
