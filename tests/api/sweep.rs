//! What sweeps over faults share: each call of a flow fails, or its answer is lost, and something must hold whatever happened.

use edgewarden::native::switchboard::Plan;

use crate::harness::{Answer, World};

/// A flow, in an isolate that knows its keys and roles or in a fresh one.
pub struct Swept {
    pub name: &'static str,
    pub warm: bool,
    /// The success of the request.
    pub success: u16,
    /// What must hold whatever happened, given whether the request succeeded.
    pub holds: fn(&World, bool),
}

impl Swept {
    /// Runs it once per call that it makes and per way in which that can fare badly, each time from its beginning, and tries
    /// again. How many cases that were.
    pub async fn sweep<S>(
        &self,
        begin: impl AsyncFn() -> (World, S),
        request: impl AsyncFn(&World, &S) -> Answer,
        again: impl AsyncFn(&World, &S, &str),
    ) -> usize {
        let (world, state) = begin().await;
        world.host.switchboard.set(Plan::Healthy);
        request(&world, &state).await.expect(self.success);
        let calls = world.host.switchboard.calls();
        assert!(!calls.is_empty(), "{} makes no calls: nothing to sweep", self.name);
        (self.holds)(&world, true);
        for (number, port) in calls.iter().enumerate() {
            for plan in [Plan::DownFrom(number), Plan::LoseOnce(number), Plan::LoseThenDown(number)] {
                let (world, state) = begin().await;
                let label = format!("{} (warm: {}): call {number} ({port}), {plan:?}", self.name, self.warm);
                world.host.switchboard.set(plan);
                let answer = request(&world, &state).await;
                let done = answer.status == self.success;
                let outcome = outcome(self.name, self.warm, &calls, number, plan);
                if outcome == Outcome::Done {
                    assert!(done, "{label}: {answer:?}");
                } else if !done || outcome == Outcome::Refused {
                    assert_eq!(answer.status, 503, "{label}: {answer:?}");
                    assert_eq!(answer.text("/request_id").len(), 36);
                    assert!(!answer.body.to_string().contains("switched off"), "{label}: the cause is for the log");
                }
                (self.holds)(&world, done);
                world.host.switchboard.set(Plan::Healthy);
                again(&world, &state, &label).await;
            }
        }
        3 * calls.len()
    }
}

/// What becomes of a flow whose call fares badly.
#[derive(PartialEq, Eq)]
enum Outcome {
    /// Nobody notices.
    Done,
    /// It is told that something does not answer.
    Refused,
    /// Either, as it happens; but what is told is true.
    Told,
}

/// What must become of a flow, if this call of it fares so.
fn outcome(flow: &str, warm: bool, calls: &[&str], number: usize, plan: Plan) -> Outcome {
    let port = calls[number];
    let once = plan == Plan::LoseOnce(number);
    let is_first = !calls[..number].contains(&port);
    let revokes =
        flow.starts_with("logout") || flow.starts_with("ending") || matches!(flow, "emergency" | "reset confirm");
    match port {
        // A batch whose answer is lost once is run once more.
        "database" if once => Outcome::Done,
        "feed's database" => Outcome::Done,
        // Whoever finds an older edge bundle knows by its version; which the feed must have been told.
        "kv" if flow.starts_with("graph") && !is_first_of_fresh(warm, is_first) => Outcome::Told,
        "feed" if flow.starts_with("graph") && !is_first_of_fresh(warm, is_first) => Outcome::Refused,
        "feed" if flow.starts_with("graph") && !once => Outcome::Refused,
        // What a sign-in, or a cookie's end, does to its copy matters to nobody.
        "kv" if flow == "logout by cookie" && calls[number + 1..].iter().all(|call| *call != "kv") => Outcome::Done,
        // A fresh isolate asks for the edge bundle and the feed, and can do without either.
        "kv" | "feed" if !revokes => Outcome::Done,
        "kv" | "feed" if !warm && is_first && once && !asks_for_no_keys(flow) => Outcome::Done,
        // The edge bundle is written beside what must be told.
        "kv" if flow == "emergency" => Outcome::Told,
        "feed" if flow == "emergency" && once => Outcome::Told,
        _ => Outcome::Refused,
    }
}

/// What a fresh isolate asks when it begins.
const fn is_first_of_fresh(warm: bool, is_first: bool) -> bool {
    !warm && is_first
}

/// Whether a flow that revokes needs neither keys nor roles: what it asks feed and KV is the revocation itself.
fn asks_for_no_keys(flow: &str) -> bool {
    flow.ends_with("refresh token") || matches!(flow, "reset confirm" | "logout by cookie")
}

/// Rows that refer to what is not there, or that stand alone: there must never be any.
pub fn whole(world: &World) {
    for sql in [
        "SELECT COUNT(*) FROM users u WHERE (erased_at IS NOT NULL) = EXISTS (SELECT 1 FROM user_roles WHERE user_id = u.id)",
        "SELECT COUNT(*) FROM users u WHERE (erased_at IS NOT NULL) <> (SELECT COUNT(*) FROM audit_events
           WHERE event = 'admin_action' AND subject = u.id AND actor <> subject AND detail IS NULL)",
        "SELECT COUNT(*) FROM users u WHERE (erased_at IS NOT NULL) <> EXISTS (SELECT 1 FROM erasures WHERE user_id = u.id)",
        "SELECT COUNT(*) FROM users u WHERE erased_at IS NOT NULL AND (EXISTS (SELECT 1 FROM sessions WHERE user_id = u.id)
           OR EXISTS (SELECT 1 FROM mail_outbox WHERE account = u.id) OR NOT EXISTS (
             SELECT 1 FROM revocations WHERE kind = 'user' AND value = u.id || ':' || u.token_version))",
        "SELECT COUNT(*) FROM users u WHERE (SELECT COUNT(*) FROM audit_events WHERE event = 'register' AND subject = u.id) <> 1",
        "SELECT COUNT(*) FROM sessions s WHERE (kind = 'bearer') <> EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = s.id)",
        "SELECT COUNT(*) FROM sessions s WHERE (kind = 'cookie') <> (salt IS NOT NULL AND idle_until IS NOT NULL)",
        "SELECT password_version - 1 <> (SELECT COUNT(*) FROM audit_events WHERE event IN ('password_changed', 'password_reset')) FROM users WHERE username = 'ada'",
        "SELECT (email <> 'ada@example.org') <> (SELECT COUNT(*) FROM audit_events WHERE event = 'email_changed' AND subject = u.id) FROM users u WHERE username = 'ada'",
        "SELECT (is_active = 0) <> (SELECT COUNT(*) FROM audit_events WHERE event = 'account_deactivated' AND subject = u.id) FROM users u WHERE username = 'ada'",
        "SELECT COUNT(*) FROM users u WHERE (is_active = 0) <> (SELECT COUNT(*) FROM audit_events WHERE event = 'account_deactivated' AND subject = u.id)",
        // Each began with a sign-in, or goes on after another under its own id.
        "SELECT COUNT(*) FROM sessions s WHERE NOT EXISTS (
           SELECT 1 FROM audit_events WHERE event IN (
             'login_success', 'password_changed', 'mfa_enabled', 'mfa_disabled', 'mfa_stepped_up') AND session_id = s.id)",
        "SELECT COUNT(*) FROM sessions s WHERE (SELECT COUNT(*) FROM audit_events WHERE event = 'login_success' AND session_id = s.id) > 1",
        "SELECT COUNT(*) FROM sessions s WHERE (ended_at IS NOT NULL) <> EXISTS (
           SELECT 1 FROM revocations WHERE value = s.id
           OR (kind = 'user' AND user_id = s.user_id AND s.end_reason IN ('logout_all', 'deactivated', 'password_reset')))",
        // A second factor is there with its codes, or not at all; and whoever has one came in with it.
        "SELECT COUNT(*) FROM users u WHERE mfa_enabled <> EXISTS (SELECT 1 FROM totp_factors WHERE user_id = u.id)",
        "SELECT COUNT(*) FROM users u WHERE mfa_enabled * 10 <> (SELECT COUNT(*) FROM recovery_codes WHERE user_id = u.id)",
        "SELECT COUNT(*) FROM users u WHERE mfa_enabled <>
           (SELECT COUNT(*) FROM audit_events WHERE event = 'mfa_enabled' AND subject = u.id)
           - (SELECT COUNT(*) FROM audit_events WHERE event IN ('mfa_disabled', 'mfa_reset') AND subject = u.id)",
        "SELECT COUNT(*) FROM sessions s JOIN users u ON u.id = s.user_id WHERE ended_at IS NULL AND (mfa_enabled = 1) = (amr = 'pwd')",
        "SELECT (SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL)
           <> (SELECT COUNT(*) FROM audit_events WHERE event = 'mfa_recovery_used')",
        "SELECT COUNT(*) FROM mfa_challenges c WHERE used_at IS NOT NULL AND NOT EXISTS (
           SELECT 1 FROM audit_events WHERE event = 'login_success' AND subject = c.user_id AND request_id = c.used_by)",
        // Whoever has an account was written to; so was whoever has another password.
        "SELECT COUNT(*) FROM users u WHERE erased_at IS NULL AND NOT EXISTS (
           SELECT 1 FROM mail_outbox WHERE account = u.id AND kind IN ('verify_email', 'invitation'))",
        "SELECT (SELECT COALESCE(SUM(password_version - 1), 0) FROM users WHERE erased_at IS NULL AND email_verified = 1)
           <> (SELECT COUNT(*) FROM mail_outbox WHERE kind = 'password_changed')",
        // Whoever is locked out was told.
        "SELECT COUNT(*) FROM sign_in_locks l WHERE NOT EXISTS (
           SELECT 1 FROM mail_outbox WHERE account = l.account AND kind = 'sign_in_closed')",
        "SELECT (SELECT SUM(email_verified) FROM users)
           <> (SELECT COUNT(*) FROM audit_events WHERE event = 'email_verified')",
        // What is counted as it happens is what there is.
        "SELECT COUNT(*) FROM user_totals t WHERE users <> (SELECT COUNT(*) FROM users u
           WHERE erased_at IS NULL AND u.is_active = t.is_active AND u.mfa_enabled = t.mfa_enabled)",
        "SELECT (SELECT COUNT(*) FROM role_totals) <> (SELECT COUNT(DISTINCT role) FROM user_roles)",
        "SELECT COUNT(*) FROM role_totals t WHERE holders <> (SELECT COUNT(*) FROM user_roles r WHERE r.role = t.role)",
        "SELECT COUNT(*) FROM daily_totals d WHERE (sign_ins, failures, registrations) <> (
           SELECT SUM(event = 'login_success'), SUM(event IN ('login_failure', 'mfa_failure')), SUM(event = 'register')
           FROM audit_events WHERE at / 86400000 = d.day)",
        // One key signs for each algorithm, at most one waits, and each is told of but the first.
        "SELECT COUNT(*) <> 1 FROM token_keys WHERE retire_at IS NULL",
        "SELECT COUNT(*) > 2 FROM token_keys WHERE retire_at IS NULL OR retire_at > 1767225600000",
        "SELECT (SELECT COUNT(*) FROM token_keys) - 1 <> (SELECT COUNT(*) FROM audit_events WHERE event = 'key_rotated')",
        "SELECT COUNT(*) FROM revocations r WHERE kind = 'key' AND EXISTS (
           SELECT 1 FROM token_keys WHERE kid = r.value AND (retire_at IS NULL OR retire_at > r.created_at))",
        // API keys are made and ended with the log and the record being told; one that was replaced has one in its place.
        "SELECT (SELECT COUNT(*) FROM api_keys)
           <> (SELECT COUNT(*) FROM audit_events WHERE event IN ('api_key_created', 'api_key_rotated'))",
        "SELECT COUNT(*) FROM api_keys k WHERE replaced_by IS NOT NULL AND NOT EXISTS (
           SELECT 1 FROM api_keys WHERE id = k.replaced_by)",
        "SELECT COUNT(*) FROM api_keys k WHERE (ended_at IS NOT NULL) <> EXISTS (
           SELECT 1 FROM revocations WHERE kind = 'api_key' AND value = k.id)",
        "SELECT COUNT(*) FROM refresh_tokens t WHERE t.generation - 1 <> (SELECT COUNT(*) FROM audit_events WHERE event = 'token_refresh' AND session_id = t.session_id)",
    ] {
        assert_eq!(world.count(sql), 0, "{sql}");
    }
}
