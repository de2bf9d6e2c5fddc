//! `classify`: the classifier of generated names on its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use rayon::prelude::*;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output};

/// Names judged at once.
const CHUNK: usize = 16_384;
/// Bytes of one line that are read; what is longer is no name.
const LINE_BYTES_MOST: u64 = 4096;

/// Prints how probably each name of `file` was generated; `-` is standard input. What is no name gets 0.
pub fn run(cli: &Cli, file: &Path) -> anyhow::Result<Exit> {
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?)
    };
    let mut names = Lines { input: BufReader::new(input), over: false };
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    if cli.output == Output::Text {
        print("domain,probability\n")?;
    }
    loop {
        names.read(&mut rows).with_context(|| format!("cannot read {}", file.display()))?;
        if rows.is_empty() {
            break;
        }
        let judged: Vec<f64> = rows.par_iter().map(|name| margay_model::classify(name).unwrap_or(0.0)).collect();
        let pairs = rows.iter().zip(judged);
        match cli.output {
            Output::Text => print(&table(pairs)?)?,
            Output::Json => documents.extend(
                pairs.map(|(name, probability)| serde_json::json!({ "domain": name, "probability": probability })),
            ),
        }
    }
    if cli.output == Output::Json {
        print_json(&documents)?;
    }
    Ok(Exit::Ok)
}

fn table<'a>(pairs: impl Iterator<Item = (&'a String, f64)>) -> anyhow::Result<String> {
    let mut text = csv::Writer::from_writer(Vec::new());
    for (name, probability) in pairs {
        text.write_record([name, &format!("{probability:.6}")])?;
    }
    Ok(String::from_utf8(text.into_inner()?)?)
}

/// Lines of an input of any length.
struct Lines<R> {
    input: R,
    over: bool,
}

impl<R: BufRead> Lines<R> {
    /// The next names; none at the end.
    fn read(&mut self, names: &mut Vec<String>) -> std::io::Result<()> {
        names.clear();
        while names.len() < CHUNK && !self.over {
            let mut line = Vec::new();
            let read = (&mut self.input).take(LINE_BYTES_MOST).read_until(b'\n', &mut line)?;
            if read == 0 {
                self.over = true;
                break;
            }
            if line.last() != Some(&b'\n') {
                self.input.skip_until(b'\n')?;
            }
            let name = String::from_utf8_lossy(&line).trim().to_owned();
            if !name.is_empty() {
                names.push(name);
            }
        }
        Ok(())
    }
}
