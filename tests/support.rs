//! What the tests have in common: a folder to work in, and the binary.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a configuration, gone when dropped.
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// An empty folder.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder with a `margay.yaml`.
    pub fn with(configuration: &str) -> Self {
        let home = Self::new();
        home.write("margay.yaml", configuration);
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Starts margay in the folder; what it says goes to a file.
    pub fn spawn(&self, name: &str, args: &[&str]) -> Daemon {
        let log = self.path(&format!("{name}.log"));
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = command(self.dir.path(), args).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        Daemon { child, log }
    }

    /// Runs margay in the folder, which must end well; the most memory that it had, in bytes.
    #[track_caller]
    pub fn peak_of(&self, args: &[&str]) -> u64 {
        let mut daemon = self.spawn("peak", args);
        let mut peak = 0;
        loop {
            peak = peak.max(daemon.peak_bytes().unwrap_or(0));
            if let Some(status) = daemon.child.try_wait().unwrap() {
                assert!(status.success(), "{}", daemon.said());
                return peak;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Runs margay in the folder.
    pub fn margay(&self, args: &[&str]) -> Ran {
        run(self.dir.path(), args)
    }

    /// The same, with variables of the environment.
    pub fn margay_with(&self, environment: &[(&str, &str)], args: &[&str]) -> Ran {
        ran(command(self.dir.path(), args).envs(environment.iter().copied()))
    }
}

/// A margay that goes on; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// What it said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The most memory that it had so far, in bytes; `None` once it has ended, or where the system does not say.
    fn peak_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }

    /// Ends it as nothing else does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM, and returns the exit code.
    #[track_caller]
    pub fn terminate(&mut self) -> Option<i32> {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
        wait("the end after SIGTERM", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long something may take that takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what takes seconds.
#[track_caller]
pub fn wait(what: &str, mut is_there: impl FnMut() -> bool) {
    let latest = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < latest, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How often a test repeats what takes long: a few times, or as often as the variable says.
pub fn rounds(variable: &str, few: i64) -> i64 {
    std::env::var(variable).ok().map_or(few, |rounds| rounds.parse().expect("a number"))
}

/// What a command ended with.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails with everything that was printed unless the exit code is this.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }
}

/// Runs margay in a folder.
pub fn run(dir: &Path, args: &[&str]) -> Ran {
    ran(&mut command(dir, args))
}

fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ran {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_margay"));
    command.args(args).current_dir(dir).env_remove("MARGAY_CONFIG").env_remove("MARGAY_LOG");
    command
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Set, a test that cannot run here fails; `.ci/run` installs what they need and sets it.
const NONE_LEFT_OUT: &str = "MARGAY_NONE_LEFT_OUT";

/// Says which test is left out and why, past the capture of the test's output.
#[track_caller]
pub fn leave_out(test: &str, reason: &str) {
    assert!(std::env::var_os(NONE_LEFT_OUT).is_none(), "{test} is left out: {reason}");
    let _ = writeln!(std::io::stderr(), "left out: {test}: {reason}");
}
