//! How near a vector is to others.

/// The greatest cosine with one of them, at least zero. All have length one.
pub(crate) fn nearest(others: &[Vec<f32>], vector: &[f32]) -> f32 {
    others.iter().map(|other| cosine(other, vector)).fold(0.0, f32::max)
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums, so that the processor need not wait for one after the other.
    let (a, b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum()
}
