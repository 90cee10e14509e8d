//! Who is asking.

mod bearer;
mod device;
mod jwks;
mod operator;
mod user;
mod verifier;

pub use bearer::Bearer;
pub use device::{Device, Devices};
pub use operator::Operator;
pub use user::User;
pub use verifier::Verifier;
