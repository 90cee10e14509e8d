use super::enrolled;
use crate::config::StateOption;
use anyhow::Context;

/// The certificate alone, on standard output: the key beside it is nobody else's.
pub(super) fn print(state: &StateOption) -> anyhow::Result<()> {
    let (ledger, _) = enrolled(state)?;
    let certificate = ledger.certificate()?.context(
        "this toolbox enrolled without a certificate; enrol it again: dtma enrol --again --url URL --token-file FILE",
    )?;
    print!("{}", certificate.pem());
    Ok(())
}
