//! Values as SQL text. Elsewhere every value is bound; a file of SQL has nothing to bind to.
//!
//! What could mean anything but itself is not written: text of other than a few plain characters goes in as the
//! hexadecimal digits of its bytes. So no value of any user holds a quote, a semicolon, a comment, a line break or a NUL, for
//! whatever reads the file: SQLite, or a tool that looks for the ends of statements.

use std::fmt::Write;

/// A text.
pub(super) fn text(value: &str) -> String {
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b" @._+$/=,-".contains(&b));
    if plain && !value.contains("--") {
        return format!("'{value}'");
    }
    let mut sql = "CAST(x'".to_owned();
    for byte in value.bytes() {
        // A text takes all that is written to it.
        let _ = write!(sql, "{byte:02x}");
    }
    sql + "' AS TEXT)"
}

/// An integer, or nothing.
pub(super) fn integer(value: Option<i64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

/// 0 or 1.
pub(super) const fn flag(value: bool) -> &'static str {
    if value { "1" } else { "0" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    fn read_again(value: &str) -> String {
        let sql = text(value);
        assert!(sql.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "{sql}");
        assert!(!sql.contains(';') && !sql.contains("--") && !sql.contains("/*"), "{sql}");
        let quotes = sql.matches('\'').count();
        assert_eq!(quotes, 2, "{sql}");
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (v TEXT NOT NULL) STRICT").unwrap();
        connection.execute_batch(&format!("INSERT INTO t SELECT column1 FROM (VALUES ({sql}))")).unwrap();
        connection.query_row("SELECT v FROM t WHERE typeof(v) = 'text'", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_is_put_in_comes_out() {
        for value in [
            "",
            "ada",
            "O'Brien",
            "''",
            "'); DROP TABLE users; --",
            "a--b",
            "/* */",
            "a\0b",
            "\0",
            "line\nbreak\r",
            "\\",
            "\"",
            "Žluťoučký kůň 🐎",
            "$argon2id$v=19$m=1,t=1,p=1$a+/$=",
            "x'41'",
            "?1",
            ":name",
            "%s {}",
        ] {
            assert_eq!(read_again(value), value);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn so_does_any_text(value in "\\PC*|(?s).*|['\"\\\\;\0-]{0,20}") {
            prop_assert_eq!(read_again(&value), value);
        }
    }
}
