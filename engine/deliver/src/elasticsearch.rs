//! An index or a data stream of Elasticsearch or OpenSearch: each message becomes a document, whose id is its key.

mod setup;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

pub use setup::{IndexKind, Plan, SetupError, Step, Wish};

use crate::http::{Http, Request, Server, reason, refusal};
use crate::{DeliverError, Message, Receipt, Refusal};

/// Where documents are written.
#[derive(Debug)]
pub struct Elasticsearch {
    http: Http,
    index: String,
}

/// What a server answers to `_bulk`.
#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    #[serde(default)]
    error: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    caused_by: Option<Box<Cause>>,
}

/// Messages of a delivery that still have to be written, and those that are refused, by their places.
struct Rest {
    waiting: Vec<usize>,
    refused: Vec<Refusal>,
}

impl Elasticsearch {
    /// Writes to `index`, which is an index, an alias or a data stream.
    ///
    /// # Errors
    /// The address is none, or what is trusted cannot be read.
    pub fn new(server: Server, index: String) -> Result<Self, DeliverError> {
        Ok(Self { http: Http::new(server)?, index })
    }

    /// Where the server takes the messages together in no way, half of them are sent at a time.
    pub(crate) fn deliver(&self, messages: &[Message]) -> Result<Receipt, DeliverError> {
        match self.bulk(messages) {
            Err(DeliverError::Refused { .. }) if messages.len() > 1 => {
                let (first, second) = messages.split_at(messages.len() / 2);
                let (mut receipt, after) = (self.deliver(first)?, self.deliver(second)?);
                receipt.delivered += after.delivered;
                let later = |refusal: Refusal| Refusal { at: refusal.at + first.len(), ..refusal };
                receipt.refused.extend(after.refused.into_iter().map(later));
                Ok(receipt)
            }
            Err(error) => Receipt::default().refuse(0, error),
            Ok(receipt) => Ok(receipt),
        }
    }

    /// Documents that the server cannot take now are sent again without the others.
    fn bulk(&self, messages: &[Message]) -> Result<Receipt, DeliverError> {
        let rest = RefCell::new(Rest { waiting: (0..messages.len()).collect(), refused: Vec::new() });
        self.http.again(DeliverError::may_pass, || async {
            let request = Request {
                method: Method::POST,
                path: &format!("/{}/_bulk", self.index),
                content_type: "application/x-ndjson",
                key: None,
                body: body(&rest.borrow().waiting, messages),
            };
            let answer = self.http.once(&request).await?;
            rest.borrow_mut().note(&answer)
        })?;
        let mut refused = rest.into_inner().refused;
        refused.sort_by_key(|refusal| refusal.at);
        Ok(Receipt { delivered: messages.len() - refused.len(), refused })
    }
}

/// `create` writes a document once: data streams take nothing else, and one that is there already stays as it is.
fn body(waiting: &[usize], messages: &[Message]) -> String {
    let lines = waiting.iter().map(|at| {
        let message = &messages[*at];
        format!("{}\n{}\n", json!({ "create": { "_id": message.key } }), message.text.trim_end_matches('\n'))
    });
    lines.collect()
}

impl Rest {
    /// Takes out what is written or refused.
    ///
    /// # Errors
    /// Some documents must be sent again, or the server takes none from here.
    fn note(&mut self, answer: &str) -> Result<(), DeliverError> {
        let unreadable = |reason: String| DeliverError::Answer { reason };
        let answer: Answer = serde_json::from_str(answer).map_err(|error| unreadable(error.to_string()))?;
        if answer.items.len() != self.waiting.len() {
            let (sent, told) = (self.waiting.len(), answer.items.len());
            return Err(unreadable(format!("it tells of {told} documents, and {sent} were sent")));
        }
        let mut again = Vec::new();
        let mut last = None;
        for (at, Item { create }) in std::mem::take(&mut self.waiting).into_iter().zip(answer.items) {
            let reason = create.reason();
            match create.status {
                // A conflict of versions: it was written before.
                200..300 | 409 => continue,
                status @ (429 | 500..) => last = Some(DeliverError::Busy { status, reason, again_after: None }),
                status => match refusal(status, reason) {
                    error @ DeliverError::Refused { .. } => {
                        self.refused.push(Refusal { at, reason: error.to_string() });
                        continue;
                    }
                    error => last = Some(error),
                },
            }
            again.push(at);
        }
        self.waiting = again;
        last.map_or(Ok(()), Err)
    }
}

impl Outcome {
    fn reason(&self) -> String {
        let mut cause = self.error.as_ref();
        let mut reasons = Vec::new();
        while let Some(Cause { reason, caused_by }) = cause {
            reasons.extend(reason.as_deref());
            cause = caused_by.as_deref();
        }
        reason(&reasons.join(": "))
    }
}
