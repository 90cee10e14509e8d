use super::Enrol;
use crate::{ledger::Ledger, link};
use anyhow::{Context, bail};
use protocol::chat::Secret;

impl Enrol {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let ledger = Ledger::open(&self.state.folder())?;
        if let Some(known) = ledger.enrolment().load()?.filter(|_| !self.again) {
            bail!(
                "this machine is enrolled already, as toolbox {} of {}; add --again to enrol it anew",
                known.toolbox_id,
                known.control_plane
            );
        }
        let address: std::net::SocketAddr = self
            .listen
            .parse()
            .with_context(|| format!("'{}' is not an address to listen at; write e.g. 127.0.0.1:8788", self.listen))?;
        if !address.ip().is_loopback() {
            bail!(
                "the gateway listens on the loopback only, e.g. 127.0.0.1:8788; put a proxy with TLS in front of it to reach it from elsewhere"
            );
        }
        let token = std::fs::read_to_string(&self.token_file)
            .with_context(|| format!("the token file {} cannot be read", self.token_file.display()))?;
        let token = Secret::new(token.trim().to_owned());
        let identity = ledger.identity()?;
        let enrolment = link::enrol(&self.url, &token, &identity, &self.listen).await.map_err(explain)?;
        ledger.enrolment().store(&enrolment)?;
        println!("enrolled as toolbox {}; now run: dtma run", enrolment.toolbox_id);
        Ok(())
    }
}

fn explain(error: link::Error) -> anyhow::Error {
    match &error {
        link::Error::Refused { fix: Some(fix), .. } => {
            let fix = fix.clone();
            anyhow::Error::new(error).context(fix)
        }
        _ => error.into(),
    }
}
