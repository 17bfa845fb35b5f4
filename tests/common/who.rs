//! Who may what: what each caller gets, for kinds of endpoints and routes.

use super::callers::Caller;

/// The status of whoever gets through, and of others their refusal.
const fn and_then(status: u16, success: u16) -> u16 {
    if status == 200 { success } else { status }
}

/// Nobody's credentials matter.
pub const fn anyone(_: Caller) -> u16 {
    200
}

/// A good token, a session or an API key is needed.
pub const fn known(caller: Caller) -> u16 {
    match browsers(caller) {
        200 => 200,
        _ => match caller {
            Caller::User | Caller::Moderator | Caller::Admin | Caller::SuperAdmin | Caller::Guest => 200,
            other => keys(other),
        },
    }
}

/// A session is needed, by its cookie.
pub const fn browsers(caller: Caller) -> u16 {
    match caller {
        Caller::Browser => 200,
        _ => 401,
    }
}

/// An API key is needed.
pub const fn keys(caller: Caller) -> u16 {
    match caller {
        Caller::AdminsKey | Caller::NarrowKey => 200,
        _ => 401,
    }
}

/// A person is needed: a good token, or a session.
pub const fn authenticated(caller: Caller) -> u16 {
    match caller {
        Caller::AdminsKey | Caller::NarrowKey => 403,
        other => known(other),
    }
}

/// The same, and one that has what every account has, but a guest.
pub const fn users(caller: Caller) -> u16 {
    match caller {
        Caller::Guest => 403,
        other => authenticated(other),
    }
}

/// Whoever has what every account has, a program too.
pub const fn users_read(caller: Caller) -> u16 {
    match caller {
        Caller::Guest | Caller::NarrowKey => 403,
        other => known(other),
    }
}

/// What a route takes: also of others' callers, if they have a role here.
pub const fn routed(caller: Caller) -> u16 {
    match caller {
        Caller::Trusted => 200,
        Caller::Stranger => 403,
        other => known(other),
    }
}

/// What is an account's own.
pub const fn owners(caller: Caller) -> u16 {
    match caller {
        Caller::Trusted | Caller::Stranger => 403,
        other => known(other),
    }
}

/// A second factor is to be shown first, which none of these has.
pub const fn step_up(caller: Caller) -> u16 {
    match caller {
        Caller::Stranger => 403,
        other => wrong(other),
    }
}

/// A bearer token is needed.
pub const fn tokens(caller: Caller) -> u16 {
    match caller {
        Caller::Browser | Caller::AdminsKey | Caller::NarrowKey => 401,
        other => routed(other),
    }
}

/// Without a bearer token one is anonymous; a bad one is refused.
pub const fn optional(caller: Caller) -> u16 {
    match caller {
        Caller::Anonymous | Caller::Basic => 200,
        other => routed(other),
    }
}

/// What a route takes of an admin or above.
pub const fn admins_routed(caller: Caller) -> u16 {
    match caller {
        Caller::Trusted | Caller::Stranger => 403,
        other => admins_read(other),
    }
}

/// A good token of a moderator or above.
pub const fn moderators(caller: Caller) -> u16 {
    match caller {
        Caller::User | Caller::Browser => 403,
        other => users_read(other),
    }
}

/// A good token of an admin or above, and a person.
pub const fn admins(caller: Caller) -> u16 {
    match caller {
        Caller::AdminsKey => 403,
        other => admins_read(other),
    }
}

/// A good token of an admin or above, or such an API key.
pub const fn admins_read(caller: Caller) -> u16 {
    match caller {
        Caller::User | Caller::Moderator | Caller::Browser => 403,
        other => users_read(other),
    }
}

/// The same, but what is asked is not said plainly.
pub const fn admins_read_invalid(caller: Caller) -> u16 {
    and_then(admins_read(caller), 422)
}

/// A good token of somebody who looks after the installation is needed.
pub const fn super_admins(caller: Caller) -> u16 {
    match caller {
        Caller::Admin => 403,
        other => admins(other),
    }
}

/// The same, but it is not there.
pub const fn admins_read_missing(caller: Caller) -> u16 {
    and_then(admins_read(caller), 404)
}

/// An admin's work, after which there is nothing to say.
pub const fn admins_done(caller: Caller) -> u16 {
    and_then(admins(caller), 204)
}

/// An admin's work, but not on what is not there.
pub const fn admins_missing(caller: Caller) -> u16 {
    and_then(admins(caller), 404)
}

/// An admin's work, but not on themselves.
pub const fn admins_malformed(caller: Caller) -> u16 {
    and_then(admins(caller), 400)
}

/// An admin's work, but how it is does not allow it.
pub const fn admins_conflict(caller: Caller) -> u16 {
    and_then(admins(caller), 409)
}

/// Whoever is known may not.
pub const fn nobody_above(caller: Caller) -> u16 {
    and_then(admins(caller), 403)
}

/// An admin's work, but what is asked is not said plainly.
pub const fn admins_invalid(caller: Caller) -> u16 {
    and_then(admins(caller), 422)
}

/// The work of whoever looks after the installation, after which there is nothing to say.
pub const fn super_admins_done(caller: Caller) -> u16 {
    and_then(super_admins(caller), 204)
}

/// The same, but not on what is not there.
pub const fn super_admins_missing(caller: Caller) -> u16 {
    and_then(super_admins(caller), 404)
}

/// The same, and the body is not good enough.
pub const fn super_admins_invalid(caller: Caller) -> u16 {
    and_then(super_admins(caller), 422)
}

/// The same, and the body is not good enough.
pub const fn authenticated_invalid(caller: Caller) -> u16 {
    and_then(authenticated(caller), 422)
}

/// The same, and something is made.
pub const fn authenticated_made(caller: Caller) -> u16 {
    and_then(authenticated(caller), 201)
}

/// Whoever has what every account has; and the body is not good enough.
pub const fn users_invalid(caller: Caller) -> u16 {
    and_then(users(caller), 422)
}

/// The same, and there is nothing of theirs.
pub const fn authenticated_missing(caller: Caller) -> u16 {
    and_then(authenticated(caller), 404)
}

/// The same, and how it is with them does not allow it.
pub const fn authenticated_conflict(caller: Caller) -> u16 {
    and_then(authenticated(caller), 409)
}

/// The same, and this cannot be used.
pub const fn authenticated_malformed(caller: Caller) -> u16 {
    and_then(authenticated(caller), 400)
}

/// The same, and there is nothing to say.
pub const fn authenticated_done(caller: Caller) -> u16 {
    and_then(authenticated(caller), 204)
}

/// Only our own page may, and the body is not good enough.
pub const fn own_page_invalid(caller: Caller) -> u16 {
    match caller {
        Caller::Browser => 422,
        _ => 403,
    }
}

/// Signing out twice is signing out once: a genuine token of an ended session is enough.
pub const fn logout(caller: Caller) -> u16 {
    match caller {
        Caller::Revoked => 200,
        // It is no session.
        Caller::AdminsKey | Caller::NarrowKey => 401,
        other => authenticated(other),
    }
}

/// Whatever the caller, the body is not good enough.
pub const fn invalid(_: Caller) -> u16 {
    422
}

/// Whatever the caller, this cannot be used.
pub const fn malformed(_: Caller) -> u16 {
    400
}

/// Whatever the caller, these credentials are wrong.
pub const fn wrong(_: Caller) -> u16 {
    401
}

pub const fn missing(_: Caller) -> u16 {
    404
}
