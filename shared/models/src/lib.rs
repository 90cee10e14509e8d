pub mod embedding;
pub mod language;
