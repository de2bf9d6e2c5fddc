//! Elasticsearch of the configuration → how it is reached, with what the configuration only names.

use std::path::Path;

use margay_config::Elasticsearch;
use margay_core::{Access, Login, Secret};

use crate::secret::{SecretError, secret};

/// How an index is reached, for its readers and for those who write to it.
///
/// # Errors
/// A secret or a certificate is not to be had.
pub fn access(place: &Elasticsearch, root: &Path) -> Result<Access, SecretError> {
    let certificate = pem("client's certificate", root, place.client_certificate_file.as_deref())?;
    let key = pem("client's key", root, place.client_key_file.as_deref())?;
    Ok(Access {
        url: place.url.clone(),
        login: login(place, root)?,
        ca: pem("CA certificate", root, place.ca_file.as_deref())?.map(String::into_bytes),
        certificate: key.zip(certificate).map(|(key, certificate)| Secret(format!("{key}\n{certificate}\n"))),
    })
}

/// What is in a file of certificates or keys.
///
/// # Errors
/// It cannot be read, or is empty.
pub fn pem(what: &'static str, root: &Path, file: Option<&Path>) -> Result<Option<String>, SecretError> {
    Ok(secret(what, root, file, None)?.map(|text| text + "\n"))
}

fn login(place: &Elasticsearch, root: &Path) -> Result<Login, SecretError> {
    let key = secret("API key", root, place.api_key_file.as_deref(), place.api_key_env.as_deref())?;
    let token = secret("token", root, place.bearer_token_file.as_deref(), place.bearer_token_env.as_deref())?;
    let password = secret("password", root, place.password_file.as_deref(), place.password_env.as_deref())?;
    Ok(match (key, token, password, &place.username) {
        (Some(key), ..) => Login::ApiKey(Secret(key)),
        (_, Some(token), ..) => Login::Bearer(Secret(token)),
        (_, _, Some(password), Some(name)) => Login::Basic(name.clone(), Secret(password)),
        _ => Login::None,
    })
}
