use super::{follow, lines};
use crate::{cli::Logs, client::Client, home::Home, trouble::Trouble};
use std::{io::Write, time::Duration};

/// How long silence lasts until `--no-follow` takes it for the end.
const QUIET: Duration = Duration::from_millis(700);

pub(super) async fn run(home: &Home, options: &Logs) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let server = follow::named(&client, home, &options.server).await?;
    let path = format!("/api/toolboxes/{}/servers/{}/logs", server.toolbox_id, server.spec.id);
    let mut reply = client.stream(&path).await?;
    let mut events = Events::default();
    loop {
        let chunk = reply.chunk();
        let chunk = if options.no_follow {
            match tokio::time::timeout(QUIET, chunk).await {
                Ok(chunk) => chunk,
                Err(_) => return Ok(()),
            }
        } else {
            chunk.await
        };
        match chunk {
            Ok(Some(bytes)) => {
                let mut read = true;
                events.take(&bytes, |text| read &= writeln!(std::io::stdout(), "{}", lines(text)).is_ok());
                // Nobody reads any more, as behind `| head`.
                if !read {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                return Err(Trouble::new("The log broke off.", "Run the command again.").caused_by(&error));
            }
        }
    }
}

/// Server-sent events, as far as a log needs: the data of each.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
    data: Vec<String>,
}

impl Events {
    fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if let Some(data) = line.strip_prefix("data:") {
                self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned());
            } else if line.is_empty() && !self.data.is_empty() {
                each(&self.data.join("\n"));
                self.data.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[test]
    fn events_come_out_whole_however_they_arrive() {
        let text = "event: message\ndata: one\n\n: keep-alive\n\ndata: two\r\ndata:three\r\n\r\ndata: cut";
        for size in 1..text.len() {
            let (mut events, mut seen) = (Events::default(), Vec::new());
            for chunk in text.as_bytes().chunks(size) {
                events.take(chunk, |text| seen.push(text.to_owned()));
            }
            assert_eq!(seen, ["one", "two\nthree"], "in chunks of {size}");
        }
    }
}
