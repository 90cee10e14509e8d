//! Inputs that are files: the user gives the content, the server gets a path.
//!
//! Such a secret is called `file:NAME`, in the vault and in a specification. The toolbox writes it where its server alone
//! reads it, and the variable `NAME` says where that is.

use super::check;
use protocol::catalog::Input;

const PREFIX: &str = "file:";

/// The variable that says where the file is, when the secret of this name is one.
pub fn file(secret: &str) -> Option<&str> {
    secret.strip_prefix(PREFIX)
}

/// The variable that the secret of this name is, or whose file it is.
pub fn variable(secret: &str) -> &str {
    file(secret).unwrap_or(secret)
}

/// What the secret is called whose file the variable of this name leads to.
pub fn of_file(variable: &str) -> String {
    format!("{PREFIX}{variable}")
}

/// True for what a secret may be called: a variable that a server may have, or a file's.
pub fn is_secret(name: &str) -> bool {
    check::variable_name(variable(name))
}

/// The name under which an input is asked for.
pub(super) fn key(name: &str, input: &Input) -> String {
    if is_file(name, input) { of_file(name) } else { name.to_owned() }
}

/// Whether the value is the path of something that the user has. Few entries say so (`format`); names like these say it of
/// themselves. One with a default is the server's own place.
fn is_file(name: &str, input: &Input) -> bool {
    const WHOLE: [&str; 2] = ["GOOGLE_APPLICATION_CREDENTIALS", "KUBECONFIG"];
    const HOLDS: [&str; 8] = ["KEY", "KEYS", "CREDENTIAL", "CREDENTIALS", "SECRET", "SECRETS", "CERT", "CERTIFICATE"];
    if name.is_empty() || input.value.is_some() || input.default.is_some() {
        return false;
    }
    let upper = name.to_ascii_uppercase();
    let mut words = upper.rsplit('_');
    let last = words.next().is_some_and(|last| matches!(last, "FILE" | "PATH"));
    let named = last && words.next().is_some_and(|word| HOLDS.contains(&word));
    let said = input.is_secret && input.format.as_deref() == Some("filepath");
    said || named || WHOLE.contains(&&*upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_for(name: &str, input: Input) -> String {
        key(name, &input)
    }

    #[test]
    fn a_file_is_told_by_what_it_says_or_by_its_name() {
        for name in
            ["GOOGLE_APPLICATION_CREDENTIALS", "KUBECONFIG", "SSH_KEY_PATH", "GSC_CREDENTIALS_FILE", "tls_cert_file"]
        {
            assert_eq!(asked_for(name, Input::default()), format!("file:{name}"));
        }
        let filepath = || Some("filepath".to_owned());
        assert_eq!(asked_for("LOGIN", Input { format: filepath(), is_secret: true, ..Input::default() }), "file:LOGIN");
        for name in ["MEMORY_FILE_PATH", "API_KEY", "TOKEN_PATH", "KEY", "PATH_KEY", "FILE", ""] {
            assert_eq!(asked_for(name, Input::default()), name);
        }
        // A place of the server's own.
        assert_eq!(asked_for("LOGIN", Input { format: filepath(), ..Input::default() }), "LOGIN");
        let default = Some("./key.json".to_owned());
        assert_eq!(asked_for("SSH_KEY_PATH", Input { default, ..Input::default() }), "SSH_KEY_PATH");
    }

    #[test]
    fn a_secrets_name_is_a_variables_or_a_files() {
        for good in ["API_KEY", "file:KUBECONFIG"] {
            assert!(is_secret(good), "{good}");
        }
        for bad in ["file:", "file:PATH", "file:file:X", "file:../x", "LD_PRELOAD", "file:LD_PRELOAD", "a b"] {
            assert!(!is_secret(bad), "{bad}");
        }
        assert_eq!((file("file:X"), file("X")), (Some("X"), None));
    }
}
