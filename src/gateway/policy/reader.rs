//! Reading a policy file: values with the line that they are on, and everything that is wrong noted, not only the first.

use std::{cell::RefCell, collections::BTreeMap, ops::Range, time::Duration};

use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error as NotAWord},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::fault::Fault;
use crate::duration;

/// A value, and where in the file it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    /// The value.
    pub value: T,
    /// Where it begins, in bytes.
    pub offset: usize,
}

impl<T> At<T> {
    fn new(span: &Range<usize>, value: T) -> Self {
        Self { value, offset: span.start }
    }
}

/// So many faults are told at once.
const MOST: usize = 100;

/// What is wrong with a file, as far as it was read.
#[derive(Debug)]
pub(super) struct Faults<'t> {
    text: &'t str,
    found: RefCell<Vec<Fault>>,
}

impl<'t> Faults<'t> {
    pub const fn new(text: &'t str) -> Self {
        Self { text, found: RefCell::new(Vec::new()) }
    }

    /// Notes one; `place` is a route, an origin, or the file.
    pub fn note(&self, offset: usize, place: &str, problem: impl Into<String>) {
        if self.found.borrow().len() >= MOST {
            return;
        }
        let before = self.text.bytes().take(offset);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        let fault = Fault { line, place: place.to_owned(), problem: problem.into() };
        let mut found = self.found.borrow_mut();
        if !found.contains(&fault) {
            found.push(fault);
        }
    }

    /// All of them, in the order of the file.
    pub fn into_all(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|fault| fault.line);
        found
    }
}

/// The whole file, as far as it is TOML.
pub(super) fn read<'f, 't>(faults: &'f Faults<'t>) -> Table<'f, 't> {
    let (table, errors) = DeTable::parse_recoverable(faults.text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        faults.note(offset, "file", error.message());
    }
    Table::new(faults, "file".to_owned(), table.span().start, table.into_inner())
}

/// Whether two values are the same, wherever they stand.
fn is_same(one: &DeValue<'_>, other: &DeValue<'_>) -> bool {
    match (one, other) {
        (DeValue::String(one), DeValue::String(other)) => one == other,
        (DeValue::Integer(one), DeValue::Integer(other)) => {
            (one.radix(), one.as_str()) == (other.radix(), other.as_str())
        }
        (DeValue::Boolean(one), DeValue::Boolean(other)) => one == other,
        (DeValue::Array(one), DeValue::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other.iter()).all(|(one, other)| is_same(one.get_ref(), other.get_ref()))
        }
        (DeValue::Table(one), DeValue::Table(other)) => {
            one.len() == other.len()
                && one.iter().zip(other.iter()).all(|((name, one), (other_name, other))| {
                    name == other_name && is_same(one.get_ref(), other.get_ref())
                })
        }
        // Nothing that a policy holds.
        _ => false,
    }
}

/// A table, whose keys are taken one by one: what is left in the end is unknown.
#[derive(Debug)]
pub(super) struct Table<'f, 't> {
    pub faults: &'f Faults<'t>,
    /// Whose it is, as faults name it.
    pub place: String,
    /// Where it begins.
    pub offset: usize,
    left: BTreeMap<String, (usize, Spanned<DeValue<'t>>)>,
    known: Vec<&'static str>,
}

impl<'f, 't> Table<'f, 't> {
    fn new(faults: &'f Faults<'t>, place: String, offset: usize, table: DeTable<'t>) -> Self {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'t>>)| {
            let (at, key): (usize, std::borrow::Cow<'_, str>) = (key.span().start, key.into_inner());
            (key.into_owned(), (at, value))
        };
        Self { faults, place, offset, left: table.into_iter().map(entry).collect(), known: Vec::new() }
    }

    /// Whether another says the same, of what was not taken from either.
    pub fn says_the_same(&self, other: &Table<'_, '_>) -> bool {
        let (ours, theirs) = (self.left.iter(), other.left.iter());
        self.left.len() == other.left.len()
            && ours.zip(theirs).all(|((name, (_, ours)), (other, (_, theirs)))| {
                name == other && is_same(ours.get_ref(), theirs.get_ref())
            })
    }

    /// Notes a fault of something in it.
    pub fn fault(&self, offset: usize, problem: impl Into<String>) {
        self.faults.note(offset, &self.place, problem);
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.left.remove(key).map(|(_, value)| value)
    }

    fn wrong(&self, span: &Range<usize>, key: &str, wanted: &str, found: &str) {
        self.fault(span.start, format!("{key} must be {wanted}, not {found}"));
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let value = self.take(key)?;
        let span = value.span();
        match value.into_inner() {
            DeValue::String(text) => Some(At::new(&span, text.into_owned())),
            other => {
                self.wrong(&span, key, "a text", other.type_str());
                None
            }
        }
    }

    /// Notes that a key is missing, if it is.
    fn need(&self, key: &'static str) {
        if !self.left.contains_key(key) {
            self.fault(self.offset, format!("{key} is missing"));
        }
    }

    /// A text that must be there.
    pub fn needed_text(&mut self, key: &'static str) -> Option<At<String>> {
        self.need(key);
        self.text(key)
    }

    /// A whole number that must be there.
    pub fn needed_number(&mut self, key: &'static str) -> Option<At<u32>> {
        self.need(key);
        self.number(key)
    }

    /// A time that must be there.
    pub fn needed_duration(&mut self, key: &'static str) -> Option<At<Duration>> {
        self.need(key);
        self.duration(key)
    }

    /// What came of reading something, or else the fault noted.
    pub fn noted<T>(&self, offset: usize, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.fault(offset, problem)).ok()
    }

    /// A word of a closed list that must be there.
    pub fn needed_word<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<T> {
        let text = self.needed_text(key)?;
        self.as_word(key, &text)
    }

    /// A word of a closed list.
    pub fn word<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<T> {
        let text = self.text(key)?;
        self.as_word(key, &text)
    }

    fn as_word<T: for<'de> Deserialize<'de>>(&self, key: &str, text: &At<String>) -> Option<T> {
        let word: Result<T, NotAWord> = T::deserialize(text.value.as_str().into_deserializer());
        word.map_err(|why| self.fault(text.offset, format!("{key}: {}", why.to_string().replace('`', "\"")))).ok()
    }

    /// Words of a closed list, if the key is there.
    pub fn words<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<Vec<T>> {
        let texts = self.texts(key)?;
        let words = texts.iter().map(|text| self.as_word(key, text)).collect::<Vec<_>>();
        words.into_iter().collect()
    }

    /// Texts, if the key is there.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<At<String>>> {
        let value = self.take(key)?;
        let span = value.span();
        let list = match value.into_inner() {
            DeValue::Array(list) => list,
            other => {
                self.wrong(&span, key, "a list of texts", other.type_str());
                return None;
            }
        };
        let mut texts = Vec::new();
        for item in list {
            let span = item.span();
            match item.into_inner() {
                DeValue::String(text) => texts.push(At::new(&span, text.into_owned())),
                other => self.wrong(&span, key, "a list of texts", other.type_str()),
            }
        }
        Some(texts)
    }

    /// A whole number.
    pub fn number(&mut self, key: &'static str) -> Option<At<u32>> {
        let value = self.take(key)?;
        let span = value.span();
        let number = match value.get_ref() {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            self.wrong(&span, key, "a whole number of at most 4294967295", value.get_ref().type_str());
        }
        number.map(|number| At::new(&span, number))
    }

    /// Yes or no; no if nothing is said.
    pub fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.take(key) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(&value.span(), key, "true or false", value.get_ref().type_str());
            false
        })
    }

    /// How long.
    pub fn duration(&mut self, key: &'static str) -> Option<At<Duration>> {
        let At { value, offset } = self.text(key)?;
        match duration::parse(&value) {
            Ok(value) => Some(At { value, offset }),
            Err(why) => {
                self.fault(offset, format!("{key} {why}"));
                None
            }
        }
    }

    /// A table in it, if the key is there.
    pub fn table(&mut self, key: &'static str) -> Option<Self> {
        let value = self.take(key)?;
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Self::new(self.faults, self.place.clone(), span.start, table)),
            other => {
                self.wrong(&span, key, "a table", other.type_str());
                None
            }
        }
    }

    /// Tables in it, in the order of the file.
    pub fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let span = value.span();
        let list = match value.into_inner() {
            DeValue::Array(list) => list,
            other => {
                self.wrong(&span, key, "a list of tables", other.type_str());
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for item in list {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Self::new(self.faults, self.place.clone(), span.start, table)),
                other => self.wrong(&span, key, "a list of tables", other.type_str()),
            }
        }
        tables
    }

    /// Texts by names that the file chooses.
    pub fn texts_by_name(&mut self, key: &'static str) -> Vec<(At<String>, At<String>)> {
        let Some(table) = self.table(key) else { return Vec::new() };
        let mut texts = Vec::new();
        for (name, (at, value)) in table.left {
            let span = value.span();
            match value.into_inner() {
                DeValue::String(text) => {
                    texts.push((At { value: name, offset: at }, At::new(&span, text.into_owned())));
                }
                other => self.wrong(&span, &format!("{key}.{name}"), "a text", other.type_str()),
            }
        }
        texts
    }

    /// Every key that was not asked for is unknown.
    pub fn end(self) {
        for (key, (at, _)) in &self.left {
            self.fault(*at, format!("unknown key {key:?}; there are {}", self.known.join(", ")));
        }
    }
}
