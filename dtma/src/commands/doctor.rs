use super::{Doctor, status::is_running};
use crate::{
    docker::{About, Engine, GVISOR},
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
        docker(&mut findings, &Engine::new(ledger.pipes()), self.runtime.gvisor()).await;
        findings.push(match Firewall::look().await {
            Guard::Kept => good("firewall", "servers' networks reach nothing but dtma".into()),
            Guard::Missing(why) => {
                warning("firewall", why, "run dtma as root, with iptables and iproute2 there: it sets the rules itself")
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

async fn docker(findings: &mut Vec<Finding>, engine: &Engine, gvisor: bool) {
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
    findings.extend(runsc(&about, gvisor));
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

/// Nothing is wrong when it is neither there nor asked for.
fn runsc(about: &About, asked: bool) -> Option<Finding> {
    let there = about.runtimes.iter().any(|name| name == GVISOR);
    match (there, asked) {
        (true, true) => Some(good("gvisor", "servers run in it".into())),
        (true, false) => Some(good("gvisor", "is there; dtma run --runtime runsc uses it".into())),
        (false, true) => Some(bad(
            "gvisor",
            "is asked for (--runtime runsc), and the Docker engine does not know it".into(),
            "install runsc and run: runsc install, then restart Docker",
        )),
        (false, false) => None,
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
    fn gvisor_is_used_when_it_is_there_and_asked_for() {
        let about = |runtimes: &[&str]| About {
            version: "1".into(),
            runc: None,
            runtimes: runtimes.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert!(runsc(&about(&["runc"]), false).is_none());
        assert!(!runsc(&about(&["runc"]), true).unwrap().good);
        assert!(runsc(&about(&["runc", "runsc"]), false).unwrap().detail.contains("--runtime runsc"));
        assert!(runsc(&about(&["runc", "runsc"]), true).unwrap().good);
    }

    #[test]
    fn an_old_runc_is_a_warning_that_says_what_mends_it() {
        let about = |runc: Option<&str>| About { version: "1".into(), runc: runc.map(Into::into), runtimes: vec![] };
        let old = runc(&about(Some("1.1.5+ds1-1")));
        assert!(!old.good && old.warning && old.detail.contains("1.2.8") && old.fix.unwrap().contains("runc"));
        assert!(runc(&about(Some("1.2.8"))).good);
        assert!(runc(&about(None)).warning);
    }

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
