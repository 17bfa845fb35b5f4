//! Starting and stopping the Worker.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use edgewarden::domain::secret::SecretList;
use rusqlite::{Connection, OpenFlags};

use crate::{
    client::Client,
    common::forge::{Forge, READ_KEY},
};

/// The Worker may have to be built first.
const START_TIMEOUT: Duration = Duration::from_mins(15);
/// All tests call from one address, and some users make many requests; what a test sets itself comes after.
const ROOMY: &str = "API_LIMIT=10000";
/// So many of the Worker's lines are kept, to be shown when a test failed.
const KEPT_LINES: usize = 5000;
/// Users whose roles are granted before tests run side by side: a grant goes around the Worker to its
/// database, which then may refuse what the Worker writes at the same moment.
const GRANTED: [(&str, &str); 10] = [
    ("table-moderator", "moderator"),
    ("table-admin", "admin"),
    ("table-superadmin", "super_admin"),
    ("table-adminskey", "admin"),
    ("table-narrowkey", "admin"),
    ("table-closedkey", "admin"),
    ("racer", "super_admin"),
    ("root-of-roles", "super_admin"),
    ("root-of-races", "super_admin"),
    ("chief-of-people", "admin"),
];

/// A running Worker, its state, and the demo origin behind it.
pub struct Server {
    pub url: String,
    port: u16,
    state: PathBuf,
    running: Mutex<Option<Running>>,
    next_address: AtomicU16,
    granted: HashMap<String, String>,
}

struct Running {
    child: Child,
    /// While it is open, the Worker runs; it closes with this process, even if that is killed.
    stdin: Option<ChildStdin>,
    origin_pid: u32,
    origin_url: String,
    lines: Lines,
}

/// The last lines of the Worker's log.
type Lines = Arc<Mutex<VecDeque<String>>>;

pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Server {
    /// Starts it on a free port with an empty state folder.
    pub fn start() -> Self {
        let state = std::env::temp_dir().join(format!("edgewarden-test-{}", std::process::id()));
        let (url, running) = launch(0, &state, &[]).unwrap_or_else(|log| panic!("the Worker did not start:\n{log}"));
        let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
        let running = Mutex::new(Some(running));
        let mut server = Self { url, port, state, running, next_address: AtomicU16::new(1), granted: HashMap::new() };
        for (name, role) in GRANTED {
            let id = server.try_register(name).expect(201).str("/id").to_owned();
            let (granted, said) = server.grant(name, role);
            assert!(granted, "{said}");
            server.granted.insert(name.to_owned(), id);
        }
        server
    }

    /// The id of a user whose role was granted at the start.
    pub fn granted(&self, username: &str) -> &str {
        &self.granted[username]
    }

    /// What the Worker last logged of faults, and of requests that it could not serve.
    pub fn faults(&self) -> Vec<String> {
        let running = self.running();
        let lines = running.as_ref().map(|running| running.lines.lock().unwrap().clone()).unwrap_or_default();
        let is_fault =
            |line: &String| line.contains("\"fault\"") || line.contains("unavailable") || line.contains("internal");
        lines.into_iter().filter(is_fault).collect()
    }

    /// The last line of the Worker's log that holds a text.
    pub fn logged(&self, text: &str) -> Option<String> {
        let running = self.running();
        let lines = running.as_ref()?.lines.lock().unwrap();
        lines.iter().rev().find(|line| line.contains(text)).cloned()
    }

    /// Stops it and starts it again on the same port and state.
    pub fn restart(&self) {
        self.restart_with(&[]);
    }

    /// The same, with variables of its own.
    pub fn restart_with(&self, vars: &[(&str, &str)]) {
        self.halt();
        let (_, running) = launch(self.port, &self.state, vars).unwrap_or_else(|log| panic!("no restart:\n{log}"));
        *self.running() = Some(running);
    }

    /// Starts another one beside it with variables of its own; gives what it printed if that fails.
    pub fn try_beside(&self, vars: &[(&str, &str)]) -> Result<Beside, String> {
        let number = self.next_address.fetch_add(1, Ordering::SeqCst);
        let state = self.state.with_extension(format!("beside-{number}"));
        let started = launch(0, &state, vars);
        let (url, running) = started.inspect_err(|_| drop(fs::remove_dir_all(&state)))?;
        Ok(Beside { url, state, running: Some(running) })
    }

    pub fn stop(&self) {
        self.halt();
        let _ = fs::remove_dir_all(&self.state);
    }

    fn halt(&self) {
        if let Some(running) = self.running().take() {
            running.stop();
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A token of the issuer that the demo origin plays, of somebody in a group.
    pub fn issuers_token(&self, group: &str) -> String {
        let url = format!("{}/issuer/token?groups={group}", self.running().as_ref().unwrap().origin_url);
        let token = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        token.trim().to_owned()
    }

    /// Kills the demo origin.
    pub fn kill_origin(&self) {
        let pid = self.running().as_ref().unwrap().origin_pid;
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// The Worker's own database, read beside it.
    fn database(&self) -> Connection {
        database(&self.state)
    }

    /// What one query gives, as one number.
    pub fn count(&self, sql: &str) -> i64 {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Changes something behind the Worker's back.
    pub fn execute(&self, sql: &str) -> usize {
        self.database().execute(sql, []).unwrap()
    }

    /// What limiter objects have stored of a counter: each object's file, and the sum of what it admitted.
    pub fn admitted(&self, counter: &str) -> Vec<(PathBuf, i64)> {
        let sum = |path: PathBuf| {
            let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
            let sql = "SELECT SUM(weight) FROM admissions WHERE counter = ?1";
            // An object that deleted itself has no such table, one that counts something else no sum.
            let sum = connection.query_row(sql, [counter], |row| row.get::<_, Option<i64>>(0)).ok()??;
            Some((path, sum))
        };
        let folders = fs::read_dir(self.state.join("v3/do")).unwrap().map(|entry| entry.unwrap().path());
        let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|ext| ext == "sqlite")).filter_map(sum).collect()
    }

    /// A forge with the Worker's own key: what it sealed with Web Crypto opens natively too.
    pub fn forge(&self) -> Forge {
        let read = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Option<String>>(2)?,
                row.get::<_, String>(3)?,
            ))
        };
        let (kid, algorithm, public, sealed) = self.database().query_row(READ_KEY, [], read).unwrap();
        Forge::with_row(master_secret(), &kid, &algorithm, public.as_deref(), &sealed)
    }

    /// Grants a role as an operator does.
    pub fn grant(&self, username: &str, role: &str) -> (bool, String) {
        let output = Command::new("node")
            .arg("scripts/admin.mjs")
            .current_dir(checkout())
            .envs([("USERNAME", username), ("ROLE", role), ("STATE", self.state.to_str().unwrap())])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }
}

impl Client for Server {
    fn url(&self) -> &str {
        &self.url
    }

    fn address(&self) -> String {
        let number = self.next_address.fetch_add(1, Ordering::SeqCst);
        format!("10.77.{}.{}", number / 250, number % 250 + 1)
    }
}

impl Client for Beside {
    fn url(&self) -> &str {
        &self.url
    }

    fn address(&self) -> String {
        "10.78.0.1".to_owned()
    }
}

/// The secret that this checkout seals keys with, as it is configured.
pub fn master_text() -> String {
    let vars = fs::read_to_string(checkout().join(".dev.vars")).unwrap();
    let value = vars.lines().find_map(|line| line.strip_prefix("KEY_ENCRYPTION_KEY=")).unwrap();
    value.trim_matches('"').to_owned()
}

/// The same, read.
pub fn master_secret() -> SecretList {
    SecretList::parse(&master_text()).unwrap()
}

/// A second Worker, stopped when it goes out of scope.
pub struct Beside {
    pub url: String,
    state: PathBuf,
    running: Option<Running>,
}

impl Beside {
    /// What one query gives, as one number.
    pub fn count(&self, sql: &str) -> i64 {
        database(&self.state).query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// The database of a Worker whose state is in a folder.
fn database(state: &Path) -> Connection {
    let folder = state.join("v3/d1/miniflare-D1DatabaseObject");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let has_users = |path: &PathBuf| {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        connection.prepare("SELECT 1 FROM users").is_ok()
    };
    let path = files
        .filter(|path| path.extension().is_some_and(|ext| ext == "sqlite"))
        .find(has_users)
        .expect("the Worker's database");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
        let _ = fs::remove_dir_all(&self.state);
    }
}

impl Running {
    fn stop(mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Starts `scripts/dev.mjs` and waits until it is ready. Gives what it printed if it ends before.
fn launch(port: u16, state: &Path, vars: &[(&str, &str)]) -> Result<(String, Running), String> {
    let mut child = Command::new("node")
        .args(["scripts/dev.mjs", "--until-stdin-closes", ROOMY])
        .args(vars.iter().map(|(name, value)| format!("{name}={value}")))
        .current_dir(checkout())
        .env("PORT", port.to_string())
        .env("STATE", state)
        .env_remove("PUBLIC_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("node");
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
    let (lines, received) = mpsc::channel();
    // The Worker's log is drained for as long as it runs, so that it never blocks on it.
    let kept = Lines::default();
    let keeping = kept.clone();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let mut kept = keeping.lock().unwrap();
            if kept.len() >= KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line.clone());
            let _ = lines.send(line);
        }
    });
    let (mut log, mut origin_pid, mut origin_url) = (String::new(), 0, String::new());
    while let Ok(line) = received.recv_timeout(START_TIMEOUT) {
        log.push_str(&line);
        log.push('\n');
        if let Some(rest) = line.strip_prefix("demo origin: pid ") {
            let (pid, url) = rest.split_once(" on ").unwrap();
            (origin_pid, origin_url) = (pid.parse().unwrap(), url.to_owned());
        }
        if let Some(url) = line.strip_prefix("ready: ") {
            return Ok((url.to_owned(), Running { child, stdin, origin_pid, origin_url, lines: kept }));
        }
    }
    drop(stdin);
    let _ = child.wait();
    Err(log)
}
