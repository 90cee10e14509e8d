//! What a server is given in secret: variables, files, and arguments that hold a credential. It goes through the pipe of the
//! server's standard input to the container's init (`init/main.rs`), before anything else does. So it stands on no disk, not
//! even one of Docker's, and `docker inspect` shows none of it.

use super::{
    Error,
    agreed::{END, FILES, MARK},
};
use protocol::chat::Secret;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// No `Debug`: it holds secrets.
#[derive(Default)]
pub struct Given {
    pub variables: BTreeMap<String, String>,
    /// Content by name.
    pub files: BTreeMap<String, Secret>,
    /// All that follow the program, in place of those of the command line; empty when none of them holds a secret.
    pub arguments: Vec<String>,
}

/// Where the server finds the file of that name.
pub fn path(name: &str) -> String {
    format!("{FILES}/{name}")
}

impl Given {
    /// As it is sent.
    pub(super) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut fields = Zeroizing::new(Vec::new());
        let mut put = |kind: u8, name: &str, value: &str| {
            // Neither a variable nor an argument can hold one.
            if value.bytes().any(|byte| byte == 0) {
                return Err(Error::Given(name.to_owned()));
            }
            fields.push(kind);
            if kind != b'a' {
                fields.extend_from_slice(name.as_bytes());
                fields.push(b'=');
            }
            fields.extend_from_slice(value.as_bytes());
            fields.push(0);
            Ok(())
        };
        self.variables.iter().try_for_each(|(name, value)| put(b'v', name, value))?;
        self.files.iter().try_for_each(|(name, content)| put(b'f', name, content.expose()))?;
        self.arguments.iter().try_for_each(|argument| put(b'a', "an argument", argument))?;
        fields.extend_from_slice(END);
        let length = u32::try_from(fields.len()).map_err(|_| Error::Given("all of it".to_owned()))?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(MARK.len() + 4 + fields.len()));
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&fields);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sent_as_the_init_reads_it() {
        let given = Given {
            variables: [("KEY".to_owned(), "a=b".to_owned())].into(),
            files: [("JSON".to_owned(), Secret::new("{\n}".to_owned()))].into(),
            arguments: vec!["--key".to_owned(), String::new()],
        };
        let fields = b"vKEY=a=b\0fJSON={\n}\0a--key\0a\0.\0";
        let expected = [b"given 1\n", &(fields.len() as u32).to_le_bytes()[..], fields].concat();
        assert_eq!(given.bytes().unwrap().as_slice(), expected);
        assert_eq!(Given::default().bytes().unwrap().as_slice(), b"given 1\n\x02\0\0\0.\0");
    }

    #[test]
    fn what_no_variable_can_hold_is_refused_by_its_name() {
        let given = Given { variables: [("KEY".to_owned(), "a\0b".to_owned())].into(), ..Given::default() };
        let refused = given.bytes().unwrap_err().to_string();
        assert!(refused.contains("KEY") && !refused.contains("a\0b"), "{refused}");
    }
}
