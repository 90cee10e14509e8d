use super::Enrol;
use crate::{
    ledger::{Certificate, Ledger},
    link,
    place::Place,
};
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
        let place = Place::parse(&self.listen, self.host.as_deref())?;
        let token = std::fs::read_to_string(&self.token_file)
            .with_context(|| format!("the token file {} cannot be read", self.token_file.display()))?;
        let token = Secret::new(token.trim().to_owned());
        let identity = ledger.identity()?;
        let certificate = Certificate::generate(place.hosts())?;
        let enrolment = link::enrol(&self.url, &token, &identity, &place, &certificate).await.map_err(explain)?;
        // Not before: until the control plane has agreed, the one of an earlier enrolment is in force.
        ledger.keep_certificate(&certificate)?;
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
