//! How this machine reaches npm and PyPI: the same settings that `npm`, `pip` and `uv` would use here, given to the
//! installer alone.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Where the installer finds what is mounted for it.
const CA: &str = "/run/agentopia-install/ca.crt";
const NPMRC: &str = "/run/agentopia-install/npmrc";
const GLOBAL_NPMRC: &str = "/run/agentopia-install/npmrc-global";
const PIP: &str = "/run/agentopia-install/pip.conf";
const UV: &str = "/run/agentopia-install/uv.toml";

/// Environment for commands and mounts (from, to) for the container. No `Debug`: it may hold a registry's token.
#[derive(Clone, Default)]
pub struct Registry {
    env: Vec<String>,
    mounts: Vec<(String, String)>,
}

impl Registry {
    /// `variables` are this process's, `home` its user's folder, `ca` a bundle of certificates to trust beside the
    /// usual ones.
    pub fn read(variables: impl Iterator<Item = (OsString, OsString)>, home: &Path, ca: Option<&Path>) -> Self {
        let variables: Vec<(String, String)> =
            variables.filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect();
        let mut registry = Self::default();
        for (key, value) in &variables {
            registry.variable(key, value);
        }
        for (from, to, key) in [
            (home.join(".npmrc"), NPMRC, "NPM_CONFIG_USERCONFIG"),
            (PathBuf::from("/etc/npmrc"), GLOBAL_NPMRC, "NPM_CONFIG_GLOBALCONFIG"),
            (home.join(".config/uv/uv.toml"), UV, "UV_CONFIG_FILE"),
            (
                first_file(&[home.join(".config/pip/pip.conf"), home.join(".pip/pip.conf"), "/etc/pip.conf".into()]),
                PIP,
                "PIP_CONFIG_FILE",
            ),
        ] {
            if from.is_file() {
                registry.mount(&from, to);
                registry.set(key, to);
            }
        }
        registry.index_from_pip(&variables);
        if let Some(ca) = ca.filter(|ca| ca.is_file()) {
            registry.mount(ca, CA);
            for key in [
                "NODE_EXTRA_CA_CERTS",
                "SSL_CERT_FILE",
                "PIP_CERT",
                "REQUESTS_CA_BUNDLE",
                "NPM_CONFIG_CAFILE",
                "GIT_SSL_CAINFO",
            ] {
                registry.set(key, CA);
            }
        }
        registry
    }

    pub fn env(&self) -> &[String] {
        &self.env
    }

    pub fn mounts(&self) -> &[(String, String)] {
        &self.mounts
    }

    fn variable(&mut self, key: &str, value: &str) {
        let upper = key.to_ascii_uppercase();
        let proxy = matches!(upper.as_str(), "HTTP_PROXY" | "HTTPS_PROXY" | "NO_PROXY" | "ALL_PROXY");
        let manager = ["NPM_CONFIG_", "PIP_", "UV_"].iter().any(|prefix| upper.starts_with(prefix));
        // Certificates and folders of this machine are elsewhere in the container.
        let elsewhere = [
            "_CERT",
            "_CAFILE",
            "CONFIG_FILE",
            "CONFIG_USERCONFIG",
            "CONFIG_GLOBALCONFIG",
            "_PREFIX",
            "_CACHE",
            "_CACHE_DIR",
            "_PYTHON",
        ]
        .iter()
        .any(|end| upper.ends_with(end))
            || upper.starts_with("UV_TOOL")
            || upper.starts_with("UV_PYTHON");
        if !(proxy || manager) || elsewhere {
            return;
        }
        if upper.ends_with("FIND_LINKS") {
            for folder in
                value.split([' ', ',']).map(Path::new).filter(|folder| folder.is_absolute() && folder.is_dir())
            {
                self.mount(folder, &folder.to_string_lossy());
            }
            self.set("UV_FIND_LINKS", &value.split_whitespace().collect::<Vec<_>>().join(","));
        }
        self.set(key, value);
    }

    /// uv does not read pip's settings.
    fn index_from_pip(&mut self, variables: &[(String, String)]) {
        let find = |key: &str| variables.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
        for (pip, uv) in [("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_EXTRA_INDEX_URL", "UV_INDEX")] {
            if let (Some(url), None) = (find(pip), find(uv)) {
                self.set(uv, &url);
            }
        }
        let file = self.mounts.iter().find(|(_, to)| to == PIP).map(|(from, _)| from.clone());
        let Some(text) = file.and_then(|file| std::fs::read_to_string(file).ok()) else { return };
        let setting = |name: &str| {
            let line = text.lines().find(|line| line.split('=').next().is_some_and(|key| key.trim() == name))?;
            line.split_once('=').map(|(_, value)| value.trim().to_owned())
        };
        for (name, uv) in [("index-url", "UV_DEFAULT_INDEX"), ("extra-index-url", "UV_INDEX")] {
            if let Some(url) = setting(name).filter(|_| !self.has(uv)) {
                self.set(uv, &url);
            }
        }
    }

    fn has(&self, key: &str) -> bool {
        self.env.iter().any(|pair| pair.split('=').next() == Some(key))
    }

    fn set(&mut self, key: &str, value: &str) {
        self.env.retain(|pair| pair.split('=').next() != Some(key));
        self.env.push(format!("{key}={value}"));
    }

    fn mount(&mut self, from: &Path, to: &str) {
        let mount = (from.to_string_lossy().into_owned(), to.to_owned());
        if !self.mounts.contains(&mount) {
            self.mounts.push(mount);
        }
    }
}

fn first_file(candidates: &[PathBuf]) -> PathBuf {
    candidates.iter().find(|path| path.is_file()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], home: &Path) -> Registry {
        Registry::read(variables.iter().map(|(k, v)| ((*k).into(), (*v).into())), home, None)
    }

    #[test]
    fn only_the_package_managers_settings_pass() {
        let home = tempfile::tempdir().unwrap();
        let registry = read(
            &[
                ("NPM_CONFIG_REGISTRY", "https://npm.example"),
                ("npm_config_registry", "https://lower.example"),
                ("PIP_INDEX_URL", "https://pypi.example/simple"),
                ("PIP_CERT", "/elsewhere"),
                ("AWS_SECRET_ACCESS_KEY", "no"),
                ("HTTPS_PROXY", "http://proxy:1"),
            ],
            home.path(),
        );
        let has = |pair: &str| registry.env().iter().any(|p| p == pair);
        assert!(has("NPM_CONFIG_REGISTRY=https://npm.example") && has("npm_config_registry=https://lower.example"));
        assert!(has("UV_DEFAULT_INDEX=https://pypi.example/simple") && has("HTTPS_PROXY=http://proxy:1"));
        assert!(!registry.env().iter().any(|p| p.contains("SECRET") || p.contains("elsewhere")));
    }

    #[test]
    fn the_users_files_are_mounted_and_pips_index_is_told_to_uv() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".npmrc"), "registry=https://npm.example\n").unwrap();
        std::fs::create_dir_all(home.path().join(".config/pip")).unwrap();
        std::fs::write(home.path().join(".config/pip/pip.conf"), "[global]\nindex-url = https://pypi.example\n")
            .unwrap();
        let registry = read(&[], home.path());
        assert!(registry.env().iter().any(|p| p == "NPM_CONFIG_USERCONFIG=/run/agentopia-install/npmrc"));
        assert!(registry.env().iter().any(|p| p == "UV_DEFAULT_INDEX=https://pypi.example"));
        assert!(registry.mounts().iter().any(|(_, to)| to == NPMRC));
    }
}
