//! Opening the store: one writer at a time, every page checked, the previous generation where it is damaged.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, ConcurrencyMode, Database, Error, ReadOnlyDatabase};
use tracing::warn;

/// The store, open for writing, or for reading beside the process that writes.
pub enum Handle {
    /// This process is the only one that writes.
    Writer(Database),
    /// Another process writes.
    Reader(ReadOnlyDatabase),
}

/// Opens the store, or makes it. A damaged one is set aside, and its previous generation opened; without one, a new
/// store. What was done is in the second value.
///
/// # Errors
/// The file cannot be read or written, or is locked in another way.
pub fn open(path: &Path) -> Result<(Handle, Option<String>), Error> {
    let damage = match attempt(path) {
        Ok(database) => return Ok((Handle::Writer(database), None)),
        Err(Failure::InUse) => {
            let reader = builder().open_read_only(path)?;
            return Ok((Handle::Reader(reader), None));
        }
        Err(Failure::Other(error)) => return Err(*error),
        Err(Failure::Damaged(damage)) => damage,
    };
    let aside = beside(path, "damaged");
    fs::rename(path, &aside)?;
    let told = |what: &str| format!("{} was damaged ({damage}) and is now {}; {what}", path.display(), aside.display());
    if fs::copy(beside(path, "previous"), path).is_ok() {
        if let Ok(database) = attempt(path) {
            let told = told("its previous generation is in use, what came since is judged again");
            warn!(told);
            return Ok((Handle::Writer(database), Some(told)));
        }
        fs::remove_file(path)?;
    }
    let told = told("there is no previous generation, so everything is judged again from the stored features");
    warn!(told);
    match attempt(path) {
        Ok(database) => Ok((Handle::Writer(database), Some(told))),
        Err(Failure::Other(error)) => Err(*error),
        Err(Failure::InUse) => Err(Error::DatabaseAlreadyOpen),
        Err(Failure::Damaged(damage)) => Err(Error::Corrupted(damage)),
    }
}

/// Keeps a copy of the store as its previous generation. Nobody may write meanwhile.
///
/// # Errors
/// The copy cannot be written.
pub fn keep(path: &Path) -> io::Result<()> {
    let unfinished = beside(path, "previous.tmp");
    fs::copy(path, &unfinished)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, beside(path, "previous"))
}

enum Failure {
    InUse,
    Damaged(String),
    Other(Box<Error>),
}

fn attempt(path: &Path) -> Result<Database, Failure> {
    make(path).map_err(|error| Failure::Other(Box::new(error)))?;
    let opened = catch_unwind(AssertUnwindSafe(|| builder().create(path)));
    match opened.map(|result| result.map_err(Error::from)) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(Error::DatabaseAlreadyOpen)) => Err(Failure::InUse),
        Ok(Err(error)) if is_damage(&error) => Err(Failure::Damaged(error.to_string())),
        Ok(Err(error)) => Err(Failure::Other(Box::new(error))),
        Err(_) => Err(Failure::Damaged("its reader failed".to_owned())),
    }
}

/// A new store appears whole or not at all, whenever the process is killed.
fn make(path: &Path) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let unfinished = beside(path, &format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&unfinished);
    drop(builder().create(&unfinished)?);
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter).set_check_integrity_on_open(true);
    builder
}

fn is_damage(error: &Error) -> bool {
    match error {
        Error::Corrupted(_) | Error::UpgradeRequired(_) | Error::RepairAborted => true,
        Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use margay_core::{Time, TimeRange};

    use crate::records::Ingested;
    use crate::state::State;

    /// Flips of the long form; the short one has fewer.
    const FLIPS: &str = "MARGAY_FLIPS";

    fn fill(dir: &Path) -> Vec<Ingested> {
        let state = State::open(dir).unwrap();
        let change = state.write().unwrap();
        let range = TimeRange { start: Time(0), end: Time(60_000) };
        for at in 0..50 {
            let files = (0..20).map(|file| (format!("{at}-{file}"), range)).collect();
            change
                .put_ingested(&format!("detector/{at}"), &Ingested { files, rows: at, left_out: 0, late: 0 })
                .unwrap();
        }
        change.commit().unwrap();
        state.keep_generation().unwrap();
        read(&state)
    }

    fn read(state: &State) -> Vec<Ingested> {
        (0..50).map(|at| state.ingested(&format!("detector/{at}")).unwrap()).collect()
    }

    #[test]
    fn a_flipped_byte_anywhere_is_harmless_or_leads_to_the_previous_generation() {
        let dir = tempfile::tempdir().unwrap();
        let expected = fill(dir.path());
        let path = dir.path().join("state.redb");
        let whole = std::fs::read(&path).unwrap();
        let flips: usize = std::env::var(FLIPS).ok().map_or(60, |flips| flips.parse().unwrap());
        let step = (whole.len() / flips).max(1) | 1;
        let mut recovered = 0;
        for at in (0..whole.len()).step_by(step) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0xff;
            std::fs::write(&path, flipped).unwrap();
            let state = State::open(dir.path()).unwrap();
            recovered += usize::from(state.recovered().is_some());
            assert_eq!(read(&state), expected, "byte {at}");
        }
        println!("{} flips, {recovered} recovered from the previous generation", whole.len().div_ceil(step));
    }

    #[test]
    fn a_store_without_a_previous_generation_begins_anew_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        std::fs::remove_file(dir.path().join("state.redb.previous")).unwrap();
        std::fs::write(dir.path().join("state.redb"), [7; 50_000]).unwrap();
        let state = State::open(dir.path()).unwrap();
        assert!(state.recovered().unwrap().contains("judged again from the stored features"));
        assert_eq!(read(&state)[0], Ingested::default());
    }
}
