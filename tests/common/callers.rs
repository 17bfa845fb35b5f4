//! Who calls. Every endpoint and every demo route is held against each of these.

/// A kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Without credentials.
    Anonymous,
    /// With HTTP Basic, which nobody accepts.
    Basic,
    /// With something that is no token.
    Garbage,
    /// Signed in, role `user`.
    User,
    /// Signed in, role `moderator`.
    Moderator,
    /// Signed in, role `admin`.
    Admin,
    /// Signed in, role `super_admin`.
    SuperAdmin,
    /// With a genuine token that is over.
    Expired,
    /// With a genuine token of a session that was signed out.
    Revoked,
    /// With a token that is right in everything but the key.
    Foreign,
    /// With a refresh token where an access token belongs.
    RefreshAsAccess,
    /// With a session cookie, on our own page; role `user`.
    Browser,
    /// With the token of half a sign-in: the password was right, the second factor is still to be shown.
    HalfSignedIn,
    /// Signed in, role `guest` and no other.
    Guest,
    /// With an admin's API key for all that they may.
    AdminsKey,
    /// With an admin's API key for less than anything asks for.
    NarrowKey,
    /// With the API key of an admin whose account was closed.
    ClosedKey,
    /// With the token of an issuer that is trusted, in a group that gives role `user`.
    Trusted,
    /// With the token of such an issuer, in no group that gives anything.
    Stranger,
}

/// All of them.
pub const ALL: [Caller; 19] = [
    Caller::Anonymous,
    Caller::Basic,
    Caller::Garbage,
    Caller::User,
    Caller::Moderator,
    Caller::Admin,
    Caller::SuperAdmin,
    Caller::Expired,
    Caller::Revoked,
    Caller::Foreign,
    Caller::RefreshAsAccess,
    Caller::Browser,
    Caller::HalfSignedIn,
    Caller::Guest,
    Caller::AdminsKey,
    Caller::NarrowKey,
    Caller::ClosedKey,
    Caller::Trusted,
    Caller::Stranger,
];

impl Caller {
    /// The role beside `user` that this caller was granted.
    pub const fn role(self) -> Option<&'static str> {
        match self {
            Self::Moderator => Some("moderator"),
            Self::Admin | Self::AdminsKey | Self::NarrowKey | Self::ClosedKey => Some("admin"),
            Self::SuperAdmin => Some("super_admin"),
            _ => None,
        }
    }

    /// What the API key that they come with is for, if they come with one: everything, where nothing is named.
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::AdminsKey => Some(r#"{"name":"all"}"#),
            Self::NarrowKey => Some(r#"{"name":"little","scopes":["content:create"]}"#),
            Self::ClosedKey => Some(r#"{"name":"closed"}"#),
            _ => None,
        }
    }
}
