//! A network of its own for each server that may reach hosts: no route out of the machine, only the gateway address.

use super::{Engine, Error, QUICK, calls::gone_is_fine, deadline, labels};
use bollard::{
    models::NetworkCreateRequest,
    query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder},
};
use protocol::ids::ToolboxId;
use sha2::Digest;
use std::{collections::HashMap, net::IpAddr};

impl Engine {
    /// Makes the internal network unless it is there; its gateway is this machine's address on it.
    pub async fn network(&self, name: &str, labels: HashMap<String, String>) -> Result<IpAddr, Error> {
        let client = self.client().await?;
        if let Some(gateway) = self.gateway(name).await? {
            return Ok(gateway);
        }
        let request = NetworkCreateRequest {
            name: name.into(),
            driver: Some("bridge".into()),
            internal: Some(true),
            enable_ipv6: Some(false),
            labels: Some(labels),
            options: Some([("com.docker.network.bridge.name".to_owned(), bridge(name))].into()),
            ..Default::default()
        };
        deadline("network", QUICK, client.create_network(request)).await?;
        self.gateway(name).await?.ok_or_else(|| Error::Refused(format!("network {name} has no gateway")))
    }

    async fn gateway(&self, name: &str) -> Result<Option<IpAddr>, Error> {
        let call = self.client().await?.inspect_network(name, None::<InspectNetworkOptions>);
        match deadline("network", QUICK, call).await {
            Ok(network) => {
                let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
                Ok(configs.into_iter().filter_map(|config| config.gateway).find_map(|gateway| gateway.parse().ok()))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Of networks that this toolbox made.
    pub async fn networks(&self, toolbox: ToolboxId) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label", vec![format!("{}={toolbox}", labels::TOOLBOX)])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let found = deadline("networks", QUICK, self.client().await?.list_networks(Some(options))).await?;
        Ok(found.into_iter().filter_map(|network| network.name).collect())
    }

    pub async fn remove_network(&self, name: &str) -> Result<(), Error> {
        gone_is_fine(deadline("remove network", QUICK, self.client().await?.remove_network(name)).await)
    }
}

/// The interface's name, at most 15 characters; the firewall knows it by its beginning.
fn bridge(network: &str) -> String {
    let digest = sha2::Sha256::digest(network);
    format!("agt{}", crate::hex(&digest[..6]))
}
