//! What the user may be called.

use crate::limits::NAME_BYTES_MAX;
use crate::terminal::sanitize::is_clean;

/// Whether a name can be somebody's; then it is returned.
///
/// # Errors
///
/// A sentence that tells why not.
pub fn parse(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a name must not be empty".to_owned());
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(format!("a name has at most {NAME_BYTES_MAX} bytes"));
    }
    if !is_clean(text) {
        return Err("a name must not hold control characters or other invisible ones".to_owned());
    }
    Ok(text.to_owned())
}
