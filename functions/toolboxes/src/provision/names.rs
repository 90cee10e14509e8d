//! What a machine is called at its provider, and which kinds are asked for.

use edge::Error;
use protocol::{ids::ToolboxId, toolbox::Provision};

/// A host name's label has 63 characters.
const LONGEST: usize = 40;

/// By which a toolbox's machine is found again.
pub(super) fn tag(toolbox: ToolboxId) -> String {
    format!("agentopia-toolbox-{toolbox}")
}

/// For people, who look at the provider's list: what a host name takes of the toolbox's name, and enough of its id.
pub(super) fn machine(name: &str, toolbox: ToolboxId) -> String {
    let kept: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = kept.split('-').filter(|word| !word.is_empty()).collect();
    let kept: String = words.join("-").chars().take(LONGEST).collect();
    let id: String = toolbox.to_string().chars().take(8).collect();
    let parts = ["agentopia", kept.trim_end_matches('-'), &id];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Words of a provider are short and plain, so that they are nothing else anywhere.
pub(super) fn check(wanted: &Provision) -> Result<(), Error> {
    let plain = |text: &str, longest: usize, also: &[u8]| {
        (1..=longest).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || also.contains(&b))
    };
    if !plain(&wanted.region, 40, b"") || !plain(&wanted.size, 60, b"_") {
        return Err(Error::invalid(
            "The region or the size is not one.",
            "Use DigitalOcean's own words, e.g. region fra1 and size s-2vcpu-4gb.",
        ));
    }
    // DigitalOcean does not list these by their tag, so that a second one could be paid for unseen.
    if wanted.size.starts_with("gpu-") {
        return Err(Error::invalid(
            "A machine with a GPU cannot be made for a toolbox.",
            "Choose a size without one, e.g. s-2vcpu-4gb; or install dtma on a machine of your own.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check, machine, tag};
    use protocol::{
        ids::ToolboxId,
        toolbox::{Provider, Provision},
    };

    #[test]
    fn a_name_becomes_a_host_name_whatever_it_is() {
        let id: ToolboxId = "019aa1b0-0000-7000-8000-000000000001".parse().expect("an id");
        for (name, expected) in [
            ("home", "agentopia-home-019aa1b0"),
            ("  My Büro: #1 \n", "agentopia-my-b-ro-1-019aa1b0"),
            ("\"; reboot; --", "agentopia-reboot-019aa1b0"),
            ("東京", "agentopia-019aa1b0"),
        ] {
            assert_eq!(machine(name, id), expected);
        }
        let long = machine(&"x y".repeat(60), id);
        assert!(long.len() <= 63 && !long.contains("--"), "{long}");
        assert_eq!(tag(id), "agentopia-toolbox-019aa1b0-0000-7000-8000-000000000001");
    }

    #[test]
    fn only_plain_words_are_asked_for() {
        let good = |region: &str, size: &str| {
            check(&Provision { provider: Provider::DigitalOcean, region: region.into(), size: size.into() }).is_ok()
        };
        assert!(good("fra1", "s-2vcpu-4gb") && good("nyc3", "so1_5-2vcpu-16gb"));
        for (region, size) in [
            ("", "s-1vcpu-1gb"),
            ("fra1", ""),
            ("FRA1", "s-1vcpu-1gb"),
            ("fra1&x", "s-1vcpu-1gb"),
            ("fra1", "s 1"),
            ("fra1", "gpu-h100x1-80gb"),
        ] {
            assert!(!good(region, size), "{region} {size}");
        }
    }
}
