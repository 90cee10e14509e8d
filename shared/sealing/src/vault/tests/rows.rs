use super::super::*;
use crate::{envelope::Envelope, wrap::Wrapped};
use async_trait::async_trait;
use protocol::vault::Credential;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

#[derive(Debug, thiserror::Error)]
pub(super) enum Never {}

#[derive(Clone, Default)]
pub(super) struct Rows(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    credentials: BTreeMap<CredentialId, (UserId, NewVersion)>,
    keys: BTreeMap<UserId, TenantKey>,
    minimum: u32,
    lose: usize,
}

impl Rows {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics while it holds the rows")
    }

    pub(super) fn dump(&self) -> String {
        let inner = self.inner();
        let rows: Vec<_> = inner.credentials.values().map(|(_, row)| row).collect();
        serde_json::to_string(&rows).expect("json")
    }

    pub(super) fn lose_next(&self, times: usize) {
        self.inner().lose = times;
    }

    pub(super) fn row(&self, id: CredentialId) -> (Envelope, Envelope) {
        let inner = self.inner();
        let row = &inner.credentials[&id].1;
        (row.data_key.clone(), row.value.clone())
    }

    pub(super) fn put_back(&self, id: CredentialId, row: (Envelope, Envelope)) {
        let mut inner = self.inner();
        let held = &mut inner.credentials.get_mut(&id).expect("there").1;
        (held.data_key, held.value) = row;
    }

    pub(super) fn swap(&self, a: CredentialId, b: CredentialId) {
        let (of_a, of_b) = (self.row(a), self.row(b));
        self.put_back(a, of_b);
        self.put_back(b, of_a);
    }

    pub(super) fn tenant_key(&self, owner: UserId) -> TenantKey {
        self.inner().keys[&owner].clone()
    }

    pub(super) fn put_tenant_key(&self, key: TenantKey) {
        self.inner().keys.insert(key.tenant, key);
    }

    pub(super) fn swap_tenant_keys(&self, a: UserId, b: UserId) {
        let (of_a, of_b) = (self.tenant_key(a), self.tenant_key(b));
        self.put_tenant_key(TenantKey { tenant: a, ..of_b });
        self.put_tenant_key(TenantKey { tenant: b, ..of_a });
    }

    pub(super) fn shred(&self, owner: UserId) {
        self.inner().keys.remove(&owner);
    }

    pub(super) fn wrapped_by(&self, owner: UserId) -> u32 {
        self.tenant_key(owner).wrapped.key
    }
}

fn credential(row: &NewVersion) -> Credential {
    Credential {
        id: row.id,
        server: row.server.clone(),
        key: row.key.clone(),
        version: row.version,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        expires_at: row.expires_at,
    }
}

#[async_trait]
impl SecretStore for Rows {
    type Caller = UserId;
    type Error = Never;
    type Written = Credential;

    async fn prepare(&self, owner: &UserId, target: &Target<'_>) -> Result<Prepared, Never> {
        let inner = self.inner();
        let found = inner.credentials.values().map(|(_, row)| row).find(|row| match target {
            Target::Id { id } => row.id == *id,
            Target::Name { server, key } => {
                inner.credentials[&row.id].0 == *owner && row.server == *server && row.key == *key
            }
        });
        let (server, key) = match (target, found) {
            (Target::Name { server, key }, _) => ((*server).to_owned(), (*key).to_owned()),
            (Target::Id { .. }, row) => row.map(|row| (row.server.clone(), row.key.clone())).expect("there"),
        };
        Ok(Prepared {
            id: found.map_or_else(CredentialId::new, |row| row.id),
            server,
            key,
            version: found.map_or(0, |row| row.version) + 1,
            expires_at: found.and_then(|row| row.expires_at),
            tenant: *owner,
            tenant_key: inner.keys.get(owner).cloned(),
            minimum: inner.minimum,
        })
    }

    async fn put(&self, owner: &UserId, version: &NewVersion) -> Result<Option<Credential>, Never> {
        let mut inner = self.inner();
        if inner.lose > 0 {
            inner.lose -= 1;
            return Ok(None);
        }
        if let Some(key) = &version.new_tenant_key {
            inner.keys.insert(*owner, key.clone());
        }
        inner.credentials.insert(version.id, (*owner, version.clone()));
        Ok(Some(credential(version)))
    }

    async fn release(&self, owner: &UserId, _: ServerId) -> Result<Released, Never> {
        let inner = self.inner();
        let rows = inner.credentials.values().filter(|(of, _)| of == owner).map(|(_, row)| ReleasedRow {
            id: row.id,
            key: row.key.clone(),
            version: row.version,
            expires_at: row.expires_at,
            data_key: row.data_key.clone(),
            value: row.value.clone(),
        });
        Ok(Released {
            tenant: *owner,
            tenant_key: inner.keys.get(owner).cloned(),
            minimum: inner.minimum,
            credentials: rows.collect(),
            missing: Vec::new(),
        })
    }

    async fn rewrap(&self, held: &TenantKey, wrapped: &Wrapped) -> Result<bool, Never> {
        let mut inner = self.inner();
        let row = inner.keys.get_mut(&held.tenant).expect("there");
        let unchanged = row == held;
        if unchanged {
            row.wrapped = wrapped.clone();
        }
        Ok(unchanged)
    }

    async fn tenant_keys_below(&self, key: u32, limit: u32) -> Result<Vec<TenantKey>, Never> {
        let inner = self.inner();
        let older = inner.keys.values().filter(|held| held.wrapped.key < key);
        Ok(older.take(limit as usize).cloned().collect())
    }

    async fn raise_minimum(&self, key: u32) -> Result<bool, Never> {
        let mut inner = self.inner();
        let free = inner.keys.values().all(|held| held.wrapped.key >= key);
        if free {
            inner.minimum = inner.minimum.max(key);
        }
        Ok(free)
    }
}
