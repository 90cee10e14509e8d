//! A migration that is added must be compiled in; the compiler does not see new files by itself.

fn main() {
    println!("cargo:rerun-if-changed=../../supabase");
    println!("cargo:rerun-if-changed=build.rs");
}
