//! SQL that users write: what of it is taken, and what it means.

pub(crate) mod complaint;
pub(crate) mod fill;
pub(crate) mod functions;
pub(crate) mod growth;
pub(crate) mod nodes;
pub(crate) mod parse;
pub(crate) mod session;
pub(crate) mod syntax;
pub(crate) mod table;
