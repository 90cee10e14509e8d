//! Who is asking.

mod bearer;
mod device;
mod jwks;
mod key;
mod operator;
mod user;
mod verifier;

pub use bearer::Bearer;
pub use device::{Device, Devices};
pub use key::PREFIX as KEY_PREFIX;
pub use operator::Operator;
pub use user::User;
pub use verifier::Verifier;
