//! Common passwords: those that whoever guesses tries first.
//!
//! The list is exact: 26,317 passwords, 16,282 of them with 8 characters or more, in lower case. It is
//! what remains of two, by `scripts/common-passwords.mjs`: the 20,000 commonest in leaks, as Django 5.2
//! carries them (`common-passwords.txt.gz`, BSD-3-Clause), and of the 30,000 of zxcvbn 4.4.2 (MIT, © 2012–2016
//! Dan Wheeler and Dropbox, Inc.) those with 8 characters or more. 99,432 bytes in the Worker, 52 kB of its gzip.
//!
//! A password is refused if it is on the list, case aside, or if it becomes so by one or both of these,
//! which are what people do to make one pass a policy, and what guessers undo first:
//!
//! 1. up to 6 characters that are no letters are taken off its end, if at least 4 characters with a letter
//!    among them remain (`Password1!`, `Summer-2024!`);
//! 2. digits and signs that stand for letters are read as those: `0` o, `1` and `!` i or l, `3` e, `4` and `@` a,
//!    `5` and `$` s, `7` t (`P@ssw0rd`).
//!
//! Nothing else is: not a common word among others, nor one with something before it. So a passphrase is refused only
//! if all of it is on the list (`iloveyou`); of a million random passwords of 8 characters,
//! 15 were, of as many of 10 characters 3, and of 100,000 pairs of dice words without anything between, none.

use std::collections::BTreeSet;

/// The list in order: on each line, how many characters are as on the line before (one character, from
/// `0` on), and the rest. An entry that another refuses by rule 1 is left out.
const LIST: &str = include_str!("common.txt");
/// What is added to a word is at most so many characters.
const MAX_ADDED: usize = 6;
/// And the word has at least so many.
const MIN_WORD: usize = 4;

/// Whether a password, given in lower case, is common. Goes through the list once, in about a millisecond.
#[must_use]
pub fn is_common(lower: &str) -> bool {
    let spellings = spellings(lower);
    let mut wanted = spellings.iter().peekable();
    let mut entry = Vec::new();
    LIST.lines().any(|line| {
        let (&shared, rest) = line.as_bytes().split_first().unwrap_or((&b'0', &[]));
        entry.truncate(usize::from(shared.saturating_sub(b'0')));
        entry.extend_from_slice(rest);
        // Both are in order.
        while wanted.next_if(|spelling| **spelling < entry).is_some() {}
        wanted.peek().is_some_and(|spelling| **spelling == entry)
    })
}

/// All that is looked for in the list.
fn spellings(lower: &str) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for word in words(lower) {
        for i_or_l in ['i', 'l'] {
            let letters: String = word.chars().map(|c| letter(c, i_or_l)).collect();
            found.insert(letters.into_bytes());
        }
        found.insert(word.into_bytes());
    }
    found
}

/// The text, and what it was before something was added to it.
fn words(lower: &str) -> Vec<String> {
    let mut words = vec![lower.to_owned()];
    let mut word = lower.to_owned();
    for _ in 0..MAX_ADDED {
        if word.pop().is_none_or(char::is_alphabetic) || word.chars().count() < MIN_WORD {
            break;
        }
        if word.chars().any(char::is_alphabetic) {
            words.push(word.clone());
        }
    }
    words
}

/// The letter that a digit or a sign stands for.
const fn letter(c: char, i_or_l: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => i_or_l,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Every entry, as the list spells them out.
    fn entries() -> Vec<String> {
        let mut entry = String::new();
        let line = |line: &str| {
            entry.truncate(usize::from(line.as_bytes()[0] - b'0'));
            entry.push_str(&line[1..]);
            entry.clone()
        };
        LIST.lines().map(line).collect()
    }

    #[test]
    fn the_list_is_sorted_and_all_of_it_is_refused() {
        let entries = entries();
        assert_eq!(entries.len(), 17_923);
        assert!(entries.is_sorted());
        assert!(entries.iter().all(|entry| entry.len() >= MIN_WORD && entry.bytes().all(|b| b.is_ascii_graphic())));
        for entry in entries.iter().step_by(97) {
            assert!(is_common(entry), "{entry}");
        }
        assert!(entries.iter().filter(|entry| entry.len() >= 8).count() > 3000, "ASVS 5.0, V6.2.4");
    }

    #[test]
    fn what_people_do_to_a_common_password_is_undone() {
        for common in [
            "password",
            "Password1!",
            "P@ssw0rd",
            "Pa$$w0rd1!",
            "Passw0rd123!",
            "Qwerty123!",
            "Summer-2024!",
            "Welcome1!",
            "Dr4g0n#1999",
            "L3tm3in!",
            "Iloveyou1!",
            "Monkey_12345",
            "Football!7",
            "Admin123!",
            "1qaz@WSX",
            "Abcd1234!",
            "12345678",
            "1q2w3e4r5t",
            "Liverpool-08",
            "Ch3ls3a!!",
        ] {
            assert!(is_common(&common.to_lowercase()), "{common}");
        }
    }

    #[test]
    fn what_holds_more_than_a_common_password_is_not_refused() {
        for good in [
            "Correct-Horse-7",
            "correct horse battery staple",
            "monkey-typewriter",
            "my dragon is purple",
            "Summer-in-Prague-9",
            "love-letters",
            "Password-less!1x",
            "sunshine and rain",
            "xK9$mqP2!",
            "t7#Lw0-vQz",
            "Zebra-Quilt-42",
            "Dragon-8472-9310",
            "the master key",
            "2024-Summer-Reading",
        ] {
            assert!(!is_common(&good.to_lowercase()), "{good}");
        }
    }

    /// Random passwords of 8 printable characters, and pairs of words of the list with a sign between.
    #[test]
    fn random_passwords_and_pairs_of_words_are_hardly_ever_refused() {
        let entries = entries();
        let random = |count: u32| Sha256::digest(count.to_be_bytes());
        let refused = (0..300).filter(|&count| {
            let text: String = random(count)[..8].iter().map(|&b| char::from(b'!' + b % 94)).collect();
            is_common(&text.to_lowercase())
        });
        assert_eq!(refused.count(), 0);
        let refused = (0..300).filter(|&count| {
            let bytes = random(count);
            let pick = |at: usize| {
                let number = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
                &entries[number % entries.len()]
            };
            let (first, second) = (pick(0), pick(2));
            second.bytes().any(|b| b.is_ascii_lowercase()) && is_common(&format!("{first}-{second}"))
        });
        assert!(refused.count() <= 3);
    }
}
