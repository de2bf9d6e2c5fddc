//! Alerts sent by POST: one a request, or a list of them.

use reqwest::Method;

use crate::http::{Http, Request, Server};
use crate::{DeliverError, Message, Receipt, Refusal};

/// How many alerts a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// One.
    One,
    /// Some, as a JSON list.
    List,
}

/// An endpoint that takes alerts by POST.
#[derive(Debug)]
pub struct Post {
    http: Http,
    path: &'static str,
    content_type: &'static str,
    pub(crate) batch: Batch,
}

impl Post {
    /// An endpoint at `path` behind the server's address, or at the address itself where it is empty.
    ///
    /// # Errors
    /// The address is none, or what is trusted cannot be read.
    pub fn new(
        server: Server,
        path: &'static str,
        content_type: &'static str,
        batch: Batch,
    ) -> Result<Self, DeliverError> {
        Ok(Self { http: Http::new(server)?, path, content_type, batch })
    }

    pub(crate) fn deliver(&self, messages: &[Message]) -> Result<Receipt, DeliverError> {
        match self.send(messages) {
            Ok(()) => Ok(Receipt { delivered: messages.len(), refused: Vec::new() }),
            Err(DeliverError::Refused { .. }) if messages.len() > 1 => self.one_by_one(messages),
            Err(error) => Receipt::default().refuse(0, error),
        }
    }

    /// Finds those that are refused.
    fn one_by_one(&self, messages: &[Message]) -> Result<Receipt, DeliverError> {
        let mut receipt = Receipt::default();
        for (at, message) in messages.iter().enumerate() {
            match self.send(std::slice::from_ref(message)) {
                Ok(()) => receipt.delivered += 1,
                Err(error) => receipt = receipt.refuse(at, error)?,
            }
        }
        Ok(receipt)
    }

    fn send(&self, messages: &[Message]) -> Result<(), DeliverError> {
        let body = match (self.batch, messages) {
            (Batch::One, [one]) => one.text.clone(),
            _ => {
                let texts: Vec<&str> = messages.iter().map(|message| &message.text[..]).collect();
                format!("[{}]", texts.join(","))
            }
        };
        let key = messages.first().map(|message| &message.key[..]).filter(|_| self.batch == Batch::One);
        let request = Request { method: Method::POST, path: self.path, content_type: self.content_type, key, body };
        self.http.send(&request)
    }
}

impl Receipt {
    /// Notes that a message is refused as such; any other error is the delivery's.
    pub(crate) fn refuse(mut self, at: usize, error: DeliverError) -> Result<Self, DeliverError> {
        match error {
            DeliverError::Refused { .. } => {
                self.refused.push(Refusal { at, reason: error.to_string() });
                Ok(self)
            }
            other => Err(other),
        }
    }
}

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;
