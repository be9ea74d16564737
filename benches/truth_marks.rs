//! Stands in for `benches/truth/main.rs`, which runs this part with others.

#[path = "truth/marks.rs"]
mod marks;

fn main() -> anyhow::Result<()> {
    println!("{}", marks::run(std::env::args().any(|argument| argument == "--quick"))?);
    Ok(())
}
