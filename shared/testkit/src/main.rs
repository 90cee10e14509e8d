//! `testkit stop` stops the cluster that tests share; `scripts/test` ends with it.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some("stop") {
        eprintln!("Usage: testkit stop\nStops the Postgres cluster of this checkout's tests, when no test uses it.");
        return ExitCode::from(2);
    }
    testkit::stop().await;
    ExitCode::SUCCESS
}
