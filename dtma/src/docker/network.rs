//! A network of its own for each server that may reach hosts: no route out of the machine, only the gateway address.

use super::{
    Engine, Error, QUICK,
    calls::gone_is_fine,
    deadline, labels,
    subnet::{Subnet, Taken},
};
use bollard::{
    models::{Ipam, IpamConfig, NetworkCreateRequest},
    query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder},
};
use protocol::ids::ToolboxId;
use sha2::Digest;
use std::collections::HashMap;

/// Addresses that are tried for a new network before it is given up.
const TRIES: usize = 16;
const ROUTES: &str = "/proc/net/route";

/// A server's network, as this machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    pub interface: String,
    pub subnet: Subnet,
}

impl Engine {
    /// Makes the internal network unless it is there.
    pub async fn network(&self, name: &str, labels: HashMap<String, String>) -> Result<Bridge, Error> {
        let client = self.client().await?;
        let interface = interface(name);
        match self.subnet(name).await? {
            Some(Some(subnet)) => return Ok(Bridge { interface, subnet }),
            // Of an older recipe: its addresses are not ours to hand out.
            Some(None) => self.remove_network(name).await?,
            None => {}
        }
        let taken = Taken::read(&tokio::fs::read_to_string(ROUTES).await.unwrap_or_default());
        let mut refused = None;
        for subnet in Subnet::candidates(seed(name), &taken).take(TRIES) {
            let config = IpamConfig {
                subnet: Some(subnet.cidr()),
                ip_range: Some(subnet.lower()),
                gateway: Some(subnet.gateway().to_string()),
                ..Default::default()
            };
            let request = NetworkCreateRequest {
                name: name.into(),
                driver: Some("bridge".into()),
                internal: Some(true),
                enable_ipv6: Some(false),
                labels: Some(labels.clone()),
                ipam: Some(Ipam { config: Some(vec![config]), ..Default::default() }),
                options: Some([("com.docker.network.bridge.name".to_owned(), interface.clone())].into()),
                ..Default::default()
            };
            match deadline("network", QUICK, client.create_network(request)).await {
                Ok(_) => return Ok(Bridge { interface, subnet }),
                // Another network has it, which has no route at the moment.
                Err(Error::Refused(why)) if why.contains("overlaps") => refused = Some(why),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Refused(refused.unwrap_or_else(|| "no addresses are left for another network".into())))
    }

    /// Of the network, when there is one; and ours, when it is.
    async fn subnet(&self, name: &str) -> Result<Option<Option<Subnet>>, Error> {
        let call = self.client().await?.inspect_network(name, None::<InspectNetworkOptions>);
        match deadline("network", QUICK, call).await {
            Ok(network) => {
                let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
                let gateway = configs.into_iter().filter_map(|config| config.gateway).find_map(|g| g.parse().ok());
                Ok(Some(gateway.and_then(Subnet::of)))
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
fn interface(network: &str) -> String {
    let digest = sha2::Sha256::digest(network);
    format!("agt{}", crate::hex(&digest[..6]))
}

fn seed(network: &str) -> u32 {
    let digest = sha2::Sha256::digest(network);
    u32::from_be_bytes([digest[6], digest[7], digest[8], digest[9]])
}
