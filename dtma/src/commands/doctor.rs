use super::{Doctor, status::is_running};
use crate::{
    docker::{About, Engine},
    egress::{Firewall, Guard},
    ledger::Ledger,
    packages::{NODE, PYTHON},
};
use serde::Serialize;

/// Below it, a container that is malicious from its start may break out (CVE-2025-31133 and its two companions).
const RUNC: [u64; 3] = [1, 2, 8];

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    good: bool,
    detail: String,
    /// The command, or the step, that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'static str>,
    /// It works all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    warning: bool,
}

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut findings = vec![];
        let ledger = Ledger::open(&self.state.folder())?;
        findings.push(match ledger.enrolment().load()? {
            Some(enrolment) => {
                good("enrolment", format!("toolbox {} of {}", enrolment.toolbox_id, enrolment.control_plane))
            }
            None => bad("enrolment", "this machine is not enrolled".into(), "dtma enrol --url URL --token-file FILE"),
        });
        findings.push(if is_running(&ledger) {
            good("daemon", "runs".into())
        } else {
            bad("daemon", "does not run".into(), "dtma run")
        });
        docker(&mut findings).await;
        findings.push(match Firewall::look().await {
            Guard::Kept => good("firewall", "servers' networks reach nothing but their proxy".into()),
            Guard::Missing(why) => {
                warning("firewall", why, "install iptables and run dtma as root: it sets them when it starts")
            }
        });

        if self.json {
            println!("{}", serde_json::to_string_pretty(&findings)?);
        } else {
            findings.iter().for_each(print);
        }
        let broken = findings.iter().filter(|finding| !finding.good && !finding.warning).count();
        anyhow::ensure!(broken == 0, "{broken} of {} checks found something to mend", findings.len());
        Ok(())
    }
}

async fn docker(findings: &mut Vec<Finding>) {
    let engine = Engine::new();
    let about = match engine.about().await {
        Ok(about) => about,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            findings.push(bad(
                "docker",
                format!("{error}{cause}"),
                "start it: systemctl start docker, or dockerd as root",
            ));
            return;
        }
    };
    findings.push(good("docker", format!("engine {}", about.version)));
    findings.push(runc(&about));
    for image in [NODE, PYTHON] {
        findings.push(match engine.image(image).await {
            Ok(Some(_)) => good("image", format!("{image} is there")),
            Ok(None) => bad("image", format!("{image} is not there"), "scripts/build-images"),
            Err(error) => bad("image", error.to_string(), "scripts/build-images"),
        });
    }
}

fn runc(about: &About) -> Finding {
    let Some(version) = &about.runc else { return warning("runc", "of unknown version".into(), "update runc") };
    if at_least(version, RUNC) {
        good("runc", version.clone())
    } else {
        let detail = format!("{version} has known ways out of a container (mended in 1.2.8)");
        warning("runc", detail, "update the packages runc and containerd")
    }
}

fn at_least(version: &str, least: [u64; 3]) -> bool {
    let mut numbers = version.split(['.', '+', '~', '-']).map(|part| part.parse().unwrap_or(0));
    let found = [0; 3].map(|zero: u64| numbers.next().unwrap_or(zero));
    found >= least
}

fn good(what: &'static str, detail: String) -> Finding {
    Finding { what, good: true, detail, fix: None, warning: false }
}

fn bad(what: &'static str, detail: String, fix: &'static str) -> Finding {
    Finding { what, good: false, detail, fix: Some(fix), warning: false }
}

fn warning(what: &'static str, detail: String, fix: &'static str) -> Finding {
    Finding { what, good: false, detail, fix: Some(fix), warning: true }
}

fn print(finding: &Finding) {
    let mark = match (finding.good, finding.warning) {
        (true, _) => "ok     ",
        (false, true) => "warning",
        (false, false) => "wrong  ",
    };
    println!("{mark}  {:<10} {}", finding.what, finding.detail);
    if let Some(fix) = finding.fix {
        println!("                    mend it: {fix}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, fine) in [
            ("1.1.5+ds1-1", false),
            ("1.2.8", true),
            ("1.2.10", true),
            ("1.3.0-rc.1", true),
            ("1.2.7", false),
            ("x", false),
        ] {
            assert_eq!(at_least(version, RUNC), fine, "{version}");
        }
    }
}
