//! What is told to whom, whatever comes in which order.

use super::*;
use crate::domain::id::{SessionId, UserId};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn entry(number: u8, until: i64) -> Entry {
    let what = Revoked::Session(SessionId::new(at(1), &[number; 10]));
    Entry { what, user: Some(UserId::new(at(1), &[number / 2; 10])), at: at(1), until: at(until) }
}

fn pulled(entries: Vec<Entry>, record: i64) -> Pulled {
    Pulled { entries, record, more: false, versions: Versions { keys: 1, policy: 1, roles: 1 } }
}

fn complete() -> Feed {
    let mut feed = Feed::new("a".into());
    let question = feed.ask_record(at(0));
    let _ = feed.absorb(pulled(vec![], 0), question, at(0));
    feed
}

#[test]
fn whoever_knows_something_is_told_the_rest() {
    let mut feed = complete();
    let _ = feed.push(vec![entry(1, 100)], None, at(2));
    let first = feed.since(None, at(2));
    assert_eq!(first.entries, [entry(1, 100)]);
    let _ = feed.push(vec![entry(2, 100), entry(1, 100)], None, at(2));
    let second = feed.since(Some(&first.cursor), at(2));
    assert_eq!(second.entries, [entry(2, 100)], "what came twice is told once");
    assert_eq!(feed.since(Some(&second.cursor), at(2)).entries, []);
    for stranger in [Cursor { feed: "b".into(), place: 1 }, Cursor { feed: "a".into(), place: 99 }] {
        assert_eq!(feed.since(Some(&stranger), at(2)).entries.len(), 2, "{stranger:?}");
    }
    assert_eq!(feed.since(None, at(100)).entries, [], "what is over is not told");
}

#[test]
fn what_was_missed_comes_from_the_record() {
    let mut feed = complete();
    let question = feed.ask_record(at(5));
    let _ = feed.push(vec![entry(2, 100)], Some(Versions { keys: 3, policy: 1, roles: 1 }), at(5));
    // The record was asked before the push and answers after it.
    let change = feed.absorb(pulled(vec![entry(1, 100), entry(2, 100)], 7), question, at(6));
    assert_eq!(change.added, [(2, entry(1, 100))]);
    let answer = feed.since(None, at(6));
    assert_eq!((answer.record, answer.versions.keys, answer.pulled_at), (7, 3, 5000));
    let question = feed.ask_record(at(9));
    let _ = feed.absorb(pulled(vec![], 7), question, at(9));
    assert_eq!(feed.meta().versions.keys, 1, "asked after it, the record is right");
}

#[test]
fn answers_of_the_record_that_pass_each_other_undo_nothing() {
    let mut feed = complete();
    let (first, second) = (feed.ask_record(at(5)), feed.ask_record(at(6)));
    let newer = Pulled { versions: Versions { keys: 9, policy: 1, roles: 9 }, ..pulled(vec![entry(1, 100)], 8) };
    let _ = feed.absorb(newer, second, at(7));
    let _ = feed.absorb(pulled(vec![], 3), first, at(8));
    let answer = feed.since(None, at(8));
    assert_eq!((answer.versions.roles, answer.record, answer.pulled_at), (9, 8, 6000));
}

#[test]
fn before_it_has_read_all_of_the_record_it_can_tell_nothing() {
    let mut feed = Feed::new("a".into());
    let _ = feed.push(vec![entry(1, 100)], None, at(2));
    assert!(!feed.is_complete());
    let half = Pulled { more: true, ..pulled(vec![entry(2, 100)], 5) };
    let question = feed.ask_record(at(2));
    let _ = feed.absorb(half, question, at(2));
    assert!(!feed.is_complete());
    assert_eq!(question.after(5).after, 5);
    let _ = feed.absorb(pulled(vec![entry(3, 100)], 9), question.after(5), at(2));
    assert!(feed.is_complete());
    assert_eq!(feed.since(None, at(2)).entries.len(), 3);
}

#[test]
fn a_record_that_was_put_back_is_read_anew() {
    let mut feed = complete();
    let question = feed.ask_record(at(2));
    let _ = feed.absorb(pulled(vec![entry(1, 100)], 50), question, at(2));
    assert_eq!(feed.ask_record(at(3)).after, 50);
    let question = feed.ask_record(at(3));
    let _ = feed.absorb(pulled(vec![], 20), question, at(3));
    assert_eq!(feed.ask_record(at(4)).after, 0);
    let question = feed.ask_record(at(4));
    let _ = feed.absorb(pulled(vec![entry(2, 100)], 21), question, at(4));
    assert_eq!(feed.ask_record(at(5)).after, 21);
    assert_eq!(feed.since(None, at(5)).entries.len(), 2);
}

#[test]
fn what_is_over_is_forgotten() {
    let mut feed = complete();
    let _ = feed.push(vec![entry(1, 10), entry(2, 20)], None, at(2));
    assert_eq!(feed.forgettable_at(), Some(at(10)));
    assert_eq!(feed.forget(at(10)).removed, [1]);
    assert_eq!(feed.since(None, at(10)).cursor.place, 2, "places are not given twice");
    assert_eq!(feed.forget(at(10)), Change::default());
}

#[test]
fn it_comes_back_as_it_was_kept() {
    let mut feed = complete();
    let mut rows: BTreeMap<u64, Entry> = BTreeMap::new();
    for (number, until) in [(1, 100), (2, 90), (3, 80), (1, 120), (4, 70), (5, 60), (6, 110)] {
        let Change { added, removed } = feed.push(vec![entry(number, until)], None, at(2));
        rows.retain(|place, _| !removed.contains(place));
        rows.extend(added);
        feed = feed.of_at_most(4);
    }
    let restored = Feed::restore(feed.meta().clone(), rows);
    assert_eq!(restored.since(None, at(2)), feed.since(None, at(2)));
}

#[test]
fn too_many_of_a_user_become_one_and_those_who_know_some_are_told() {
    let mut feed = complete().of_at_most(4);
    let _ = feed.push(vec![entry(2, 100), entry(4, 100), entry(6, 100)], None, at(2));
    let cursor = feed.since(None, at(2)).cursor;
    let _ = feed.push(vec![entry(3, 100), entry(5, 100)], None, at(2));
    let answer = feed.since(Some(&cursor), at(2));
    let given = |number: u8| Revoked::Given(UserId::new(at(1), &[number; 10]));
    let mut told: Vec<_> = answer.entries.into_iter().map(|entry| entry.what).collect();
    told.sort_unstable();
    assert_eq!(told, [given(1), given(2)]);
    assert_eq!(answer.incomplete_until, None);
    assert_eq!(feed.since(None, at(2)).entries.len(), 3);
}

#[test]
fn where_there_are_too_many_users_it_says_that_it_does_not_tell_everything() {
    let mut feed = complete().of_at_most(4);
    let _ = feed.push((0..10).map(|number| entry(number * 2, 100)).collect(), None, at(2));
    let answer = feed.since(None, at(2));
    assert!(answer.entries.len() <= 4);
    assert_eq!(answer.incomplete_until, Some(100_000));
    assert_eq!(feed.since(None, at(100)).incomplete_until, None);
}
