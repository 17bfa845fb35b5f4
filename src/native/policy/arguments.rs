//! The words of `edgewarden policy …`.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    duration,
    gateway::{
        policy::Credential,
        question::{Question, Whom},
    },
};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Everything that is wrong with it.
    Check,
    /// What would become of a request.
    Explain(Question, Whom),
    /// Whether requests come to what its cases say.
    Test,
}

/// Of which policy, with what beside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub task: Task,
    pub file: PathBuf,
    pub database: Option<PathBuf>,
    pub vars: BTreeMap<String, String>,
}

impl Arguments {
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut words = arguments.into_iter();
        if words.next()? != "policy" {
            return None;
        }
        let task = words.next()?;
        let (mut plain, mut database, mut vars) = (Vec::new(), None, BTreeMap::new());
        let (mut whom, mut headers) = (Whom::default(), Vec::new());
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        while let Some(word) = words.next() {
            match (word.as_str(), word.split_once('=')) {
                (_, Some((name, value))) if is_name(name) => drop(vars.insert(name.to_owned(), value.to_owned())),
                ("--database", _) if database.is_none() => database = Some(words.next()?.into()),
                ("--role", _) => whom.roles.get_or_insert_default().push(words.next()?),
                ("--subject", _) if whom.subject.is_none() => whom.subject = Some(words.next()?),
                ("--scope", _) if whom.scope.is_none() => whom.scope = Some(words.next()?),
                ("--credential", _) if whom.credential.is_none() => {
                    whom.credential = Some(Credential::parse(&words.next()?)?);
                }
                ("--mfa", _) if whom.mfa.is_none() => whom.mfa = Some(duration::parse(&words.next()?).ok()?),
                ("--header", _) => {
                    let header = words.next()?;
                    let (name, value) = header.split_once(':')?;
                    headers.push((name.to_owned(), value.trim().to_owned()));
                }
                (option, _) if option.starts_with('-') => return None,
                _ => plain.push(word),
            }
        }
        let says_who = whom != Whom::default() || !headers.is_empty();
        let (task, file) = match (task.as_str(), plain.as_slice()) {
            ("check", [file]) if !says_who => (Task::Check, file),
            ("test", [file]) if !says_who => (Task::Test, file),
            ("explain", [file, method, url]) => {
                let (method, url) = (method.clone(), url.clone());
                (Task::Explain(Question { method, url, headers }, whom), file)
            }
            _ => return None,
        };
        Some(Self { task, file: file.into(), database, vars })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<Arguments> {
        Arguments::parse(words.iter().map(ToString::to_string))
    }

    #[test]
    fn what_is_asked_for_is_understood_and_nothing_else() {
        let plain = |task| Arguments { task, file: "p.toml".into(), database: None, vars: BTreeMap::new() };
        assert_eq!(parse(&["policy", "check", "p.toml"]), Some(plain(Task::Check)));
        assert_eq!(parse(&["policy", "test", "p.toml"]), Some(plain(Task::Test)));
        let vars = BTreeMap::from([("A_1".to_owned(), "b=c".to_owned())]);
        let all = Arguments { database: Some("d".into()), vars, ..plain(Task::Check) };
        assert_eq!(parse(&["policy", "check", "A_1=b=c", "--database", "d", "p.toml"]), Some(all));
        let url = "https://a.example/x?A=1";
        let words = ["policy", "explain", "p.toml", "GET", url, "--role", "a", "--role", "b", "--mfa", "5m"];
        let more = ["--credential", "api_key", "--scope", "x:y z:w", "--subject", "me", "--header", "accept: */*"];
        let whom = Whom {
            roles: Some(vec!["a".to_owned(), "b".to_owned()]),
            subject: Some("me".to_owned()),
            scope: Some("x:y z:w".to_owned()),
            credential: Some(Credential::ApiKey),
            mfa: Some(std::time::Duration::from_mins(5)),
        };
        let headers = vec![("accept".to_owned(), "*/*".to_owned())];
        let question = Question { method: "GET".to_owned(), url: url.to_owned(), headers };
        assert_eq!(parse(&[words.as_slice(), &more].concat()), Some(plain(Task::Explain(question, whom))));
        for wrong in [
            "policy",
            "policy check",
            "policy p.toml",
            "policy check a b",
            "policy check a --database",
            "policy check a -x",
            "policy check a --role b",
            "policy test a --header b:c",
            "policy explain a GET",
            "policy explain a GET https://b/ c",
            "policy explain a GET https://b/ --credential basic",
            "policy explain a GET https://b/ --mfa soon",
            "policy explain a GET https://b/ --header b",
            "policy explain a GET https://b/ --role",
        ] {
            assert_eq!(parse(&wrong.split(' ').collect::<Vec<_>>()), None, "{wrong}");
        }
    }
}
