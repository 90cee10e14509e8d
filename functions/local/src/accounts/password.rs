//! Passwords, hashed with Argon2id: slow and hungry on purpose, so only a few at a time.

use super::error::Error;
use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString, rand_core::OsRng},
};
use protocol::chat::Secret;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Each takes 19 MiB for its time.
const AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Passwords {
    slots: Arc<Semaphore>,
    /// What an unknown address is compared with, so that it takes as long as a known one.
    decoy: Arc<str>,
}

impl Passwords {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { slots: Arc::new(Semaphore::new(AT_ONCE)), decoy: hash("no account has this password")?.into() })
    }

    /// The PHC string of a password that is good enough to be one.
    pub(super) async fn hash(&self, password: Secret) -> Result<String, Error> {
        if !(8..=256).contains(&password.expose().chars().count()) {
            return Err(Error::Password);
        }
        self.work(move || hash(password.expose())).await?
    }

    /// Whether it is the password behind `stored`; never for an account that is not there, and as slowly.
    pub(super) async fn verify(&self, password: Secret, stored: Option<String>) -> Result<bool, Error> {
        let decoy = self.decoy.clone();
        self.work(move || {
            let known = stored.is_some();
            let hash = stored.as_deref().unwrap_or(&decoy);
            let hash = PasswordHash::new(hash).map_err(|error| Error::Internal(error.to_string().into()))?;
            Ok(Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok() && known)
        })
        .await?
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let slot = tokio::time::timeout(PATIENCE, self.slots.clone().acquire_owned()).await.map_err(|_| Error::Busy)?;
        let slot = slot.expect("the semaphore is never closed");
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(slot);
            result
        });
        task.await.map_err(|error| Error::Internal(Box::new(error)))
    }
}

fn hash(password: &str) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.as_bytes(), &SaltString::generate(&mut OsRng))
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Internal(error.to_string().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_password_itself_verifies() {
        let passwords = Passwords::new().unwrap();
        let stored = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(passwords.verify(secret("correct horse"), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horse "), Some(stored)).await.unwrap());
        assert!(!passwords.verify(secret("no account has this password"), None).await.unwrap());
    }

    #[tokio::test]
    async fn the_same_password_is_never_stored_the_same() {
        let passwords = Passwords::new().unwrap();
        assert_ne!(
            passwords.hash(secret("correct horse")).await.unwrap(),
            passwords.hash(secret("correct horse")).await.unwrap()
        );
    }

    #[tokio::test]
    async fn length_is_counted_in_characters() {
        let passwords = Passwords::new().unwrap();
        for bad in ["", "1234567", &"x".repeat(257)] {
            assert!(matches!(passwords.hash(secret(bad)).await, Err(Error::Password)), "{bad:?}");
        }
        assert!(passwords.hash(secret("pässwörd")).await.is_ok());
    }

    #[tokio::test]
    async fn a_crowd_is_worked_off_a_few_at_a_time() {
        let passwords = Passwords::new().unwrap();
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let all = (0..8).map(|_| {
            let (passwords, running, most) = (passwords.clone(), running.clone(), most.clone());
            tokio::spawn(async move {
                let work = move || {
                    let now = running.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                    most.fetch_max(now, std::sync::atomic::Ordering::SeqCst);
                    for _ in 0..1000 {
                        std::thread::yield_now();
                    }
                    running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                };
                passwords.work(work).await.map(drop)
            })
        });
        for task in all.collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
        assert!(most.load(std::sync::atomic::Ordering::SeqCst) <= AT_ONCE);
    }
}
