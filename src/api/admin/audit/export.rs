//! `GET admin/audit/export`: all that matches, newest first, as it is read.
//!
//! Nothing is gathered: a page is read when the client has taken the one before it, so an export may be as large as the log.
//! What breaks in the middle breaks the answer off, which shows; it never ends as if it were complete.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};

use super::{
    PERMISSION, filter,
    item::{COLUMNS, Item},
};
use crate::{
    api::{Connection, extract::Reader, query::Query},
    app::App,
    domain::{
        audit::{Act, Entry, Event},
        id::RequestId,
        rbac::Requirement,
        time::Timestamp,
        user::FieldProblem,
    },
    error::ApiError,
    stores::{
        audit::{
            self,
            list::{self, Filter, Page, Place},
        },
        run,
    },
};

/// So many rows are read at once.
const AT_ONCE: i64 = 1000;

/// (1) Who may read it may. (2) That it is read out is a row of the log itself, before anything is; nobody reads a HEAD.
/// (3) The first page, so that what fails at once is told by the status. (4) The rest follows.
pub async fn export(
    State(app): State<Arc<App>>,
    connection: Connection,
    reader: Reader,
    method: Method,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    // (1)
    reader.require(&app, &Requirement::permission(PERMISSION)).await?;
    let mut query = Query::new(query.as_deref());
    let filter = filter::read(&mut query);
    let format = query.optional("format", Format::parse).unwrap_or(Format::Ndjson);
    query.refuse()?;
    let now = app.ports.clock.now();
    if method == Method::HEAD {
        return Ok(answer(format, now, Body::empty()));
    }
    // (2)
    let act = act(&app, &connection, &reader, now)?;
    run(app.ports.database.as_ref(), vec![audit::write_act(&act)]).await?;
    audit::log_act(app.ports.log.as_ref(), &act);
    // (3)
    let reading = Reading { app, filter, format, request: connection.request };
    let (first, rest) = reading.page(&reading.filter.start()).await?;
    let first = [format.head()?, first].concat();
    // (4)
    let rows = stream::iter([Ok(first)]).chain(reading.pages(rest)).filter(|part| {
        let is_empty = matches!(part, Ok(bytes) if bytes.is_empty());
        std::future::ready(!is_empty)
    });
    Ok(answer(format, now, Body::from_stream(rows)))
}

fn act(app: &App, connection: &Connection, reader: &Reader, now: Timestamp) -> Result<Act, ApiError> {
    let actor = reader.user()?;
    let entry = connection.entry(app, Event::AuditExported, now);
    Ok(Act {
        entry: Entry { subject: Some(actor), session: reader.0.caller().session, ..entry },
        actor,
        detail: Some("log exported".to_owned()),
    })
}

fn answer(format: Format, now: Timestamp, body: Body) -> Response {
    let (kind, extension) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let day: String = now.rfc3339().chars().take_while(|&c| c != 'T').collect();
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"audit-{day}.{extension}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// An export under way.
struct Reading {
    app: Arc<App>,
    filter: Filter,
    format: Format,
    request: RequestId,
}

impl Reading {
    /// A page, written out, and where the next begins.
    async fn page(&self, before: &Place) -> Result<(Vec<u8>, Option<Place>), ApiError> {
        let Page { rows, next } = list::page(self.app.ports.database.as_ref(), &self.filter, before, AT_ONCE).await?;
        Ok((self.format.write(rows.into_iter().map(Item::from))?, next))
    }

    /// What follows, page by page.
    fn pages(self, next: Option<Place>) -> impl stream::Stream<Item = Result<Vec<u8>, ApiError>> + Send {
        stream::try_unfold((self, next), async |(reading, next)| {
            let Some(before) = next else { return Ok(None) };
            match reading.page(&before).await {
                Ok((bytes, next)) => Ok(Some((bytes, (reading, next)))),
                Err(error) => {
                    // Its status has been sent: what is left to say is for the log.
                    reading.app.log_refusal(&error, reading.request, Some("admin/audit/export"));
                    Err(error)
                }
            }
        })
    }
}

/// How rows are written.
#[derive(Clone, Copy)]
enum Format {
    /// RFC 4180, with a line of names.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    fn parse(text: &str) -> Result<Self, FieldProblem> {
        match text {
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Ndjson),
            _ => Err("must be csv or ndjson"),
        }
    }

    /// What comes before all rows.
    fn head(self) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Csv => table([COLUMNS]),
            Self::Ndjson => Ok(Vec::new()),
        }
    }

    fn write(self, items: impl Iterator<Item = Item>) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Csv => table(items.map(|item| item.cells())),
            Self::Ndjson => {
                let mut lines = Vec::new();
                for item in items {
                    serde_json::to_writer(&mut lines, &item).map_err(unwritable)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

fn table<R>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, ApiError>
where
    R: IntoIterator,
    R::Item: AsRef<[u8]>,
{
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(unwritable)?;
    }
    writer.into_inner().map_err(unwritable)
}

fn unwritable(error: impl std::fmt::Display) -> ApiError {
    ApiError::Internal(format!("a row of the log cannot be written out: {error}"))
}
