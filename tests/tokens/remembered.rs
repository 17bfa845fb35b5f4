//! What an isolate remembers of tokens is bounded, in number and in size, and the newest of it stays.

use std::sync::Arc;

use edgewarden::{
    domain::{
        rbac::{RoleGraph, RoleRecord},
        token::{algorithm::Algorithm, claims::Claims},
    },
    gateway::{
        caller::Caller,
        knowledge::{Knowledge, Remembered, TokenDigest, digest},
    },
};

use crate::{NOW, Signer, claims};

/// Remembers so many tokens with so many roles each; gives their digests in order.
fn remember(knowledge: &mut Knowledge, count: i64, roles: usize) -> Vec<TokenDigest> {
    let signer = Signer::new(Algorithm::Hs256);
    let role = |number| format!("a-role-with-a-long-name-{number:03}");
    let roles: Vec<_> = (0..roles).map(role).collect();
    let graph = RoleGraph::new(&roles.iter().map(|role| (role.clone(), RoleRecord::default())).collect());
    let each = |number| {
        let token = signer.issue(&Claims { ver: number, roles: roles.clone(), ..claims() });
        let claims = signer.believe(&token, NOW).unwrap();
        let caller = Caller::from_claims(&claims, &graph);
        knowledge.remember(digest(&token), Arc::new(Remembered { claims, caller }));
        digest(&token)
    };
    (0..count).map(each).collect()
}

#[test]
fn of_too_many_the_oldest_are_forgotten() {
    let mut knowledge = Knowledge::default();
    let digests = remember(&mut knowledge, 5000, 1);
    let known: Vec<_> = digests.iter().map(|digest| knowledge.token(digest).is_some()).collect();
    assert_eq!(known.iter().filter(|known| **known).count(), 4096);
    assert!(known[5000 - 4096..].iter().all(|known| *known), "the newest");
}

#[test]
fn of_what_takes_too_much_the_oldest_are_forgotten() {
    let mut knowledge = Knowledge::default();
    let digests = remember(&mut knowledge, 2000, 75);
    let known: Vec<_> = digests.iter().map(|digest| knowledge.token(digest).is_some()).collect();
    let count = known.iter().filter(|known| **known).count();
    // 75 names of 27 characters, three times, and what lists take beside them: over 16 KiB each.
    assert!((100..=512).contains(&count), "{count}");
    assert!(known[2000 - count..].iter().all(|known| *known), "the newest");
    // Remembering the same again takes no more.
    let last = knowledge.token(digests.last().unwrap()).unwrap().clone();
    for _ in 0..2000 {
        knowledge.remember(*digests.last().unwrap(), last.clone());
    }
    assert_eq!(digests.iter().filter(|digest| knowledge.token(digest).is_some()).count(), count);
}
