//! `x · Wᵀ + b` over many rows: the product that takes nearly all of the time.
//!
//! Weights are cut into panels of 32 outputs, inputs into blocks of 6 rows; the inner loop keeps 6 rows times two vectors of
//! outputs in registers and reads both operands in the order in which they lie in memory.
//!
//! Reading the weights is what takes the time of a short text, so they are kept at half their size: the upper 16 bits of each
//! (bfloat16), rounded. Sums are as exact as before.

use pulp::{Arch, Simd, WithSimd};

const PANEL: usize = 32;
const ROWS: usize = 6;
/// Two weights are one word.
const WORDS: usize = PANEL / 2;

pub(super) struct Linear {
    /// Panel after panel; in a panel, for each input its 32 weights: the first 16 in the lower halves of 16 words, the others in
    /// the upper.
    panels: Vec<u32>,
    bias: Vec<f32>,
    inputs: usize,
}

/// Memory that is used again from product to product.
#[derive(Default)]
pub(super) struct Scratch(Vec<f32>);

impl Linear {
    /// `weights` has a row for each output. The number of outputs is a multiple of 32.
    pub(super) fn new(weights: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        let mut panels = Vec::with_capacity(weights.len() / 2);
        for panel in weights.chunks(inputs * PANEL) {
            let (lower, upper) = panel.split_at(inputs * WORDS);
            for input in 0..inputs {
                let rows = lower.chunks_exact(inputs).zip(upper.chunks_exact(inputs));
                panels.extend(rows.map(|(lower, upper)| half(lower[input]) | half(upper[input]) << 16));
            }
        }
        Self { panels, bias, inputs }
    }

    /// With `halved`, two processors do half of the outputs each; to be called by a thread of rayon's then.
    pub(super) fn apply(&self, x: &[f32], scratch: &mut Scratch, halved: bool) -> Vec<f32> {
        self.apply_then(x, scratch, halved, |_| {})
    }

    /// The same, and `then` over what came out, in parts.
    pub(super) fn apply_then(
        &self,
        x: &[f32],
        scratch: &mut Scratch,
        halved: bool,
        then: impl Fn(&mut [f32]) + Sync,
    ) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        let outputs = self.bias.len();
        // Blocks of six rows: for each input the six values, zeros below the last row.
        let blocks = &mut scratch.0;
        blocks.clear();
        blocks.resize(rows.div_ceil(ROWS) * ROWS * self.inputs, 0.0);
        for (block, rows) in blocks.chunks_exact_mut(ROWS * self.inputs).zip(x.chunks(ROWS * self.inputs)) {
            for (at, row) in rows.chunks_exact(self.inputs).enumerate() {
                block.iter_mut().skip(at).step_by(ROWS).zip(row).for_each(|(to, value)| *to = *value);
            }
        }
        let product = |panels: &[u32], bias: &[f32]| {
            let mut out = vec![0.0; rows * bias.len()];
            Arch::new().dispatch(Product { panels, bias, inputs: self.inputs, blocks, out: &mut out });
            then(&mut out);
            out
        };
        let first = outputs / PANEL / 2;
        if !halved || first == 0 {
            return product(&self.panels, &self.bias);
        }
        let (panels, bias) = (self.panels.split_at(first * self.inputs * WORDS), self.bias.split_at(first * PANEL));
        let (left, right) = rayon::join(|| product(panels.0, bias.0), || product(panels.1, bias.1));
        let rows = left.chunks_exact(bias.0.len()).zip(right.chunks_exact(bias.1.len()));
        let mut out = Vec::with_capacity(left.len() + right.len());
        rows.for_each(|(left, right)| {
            out.extend_from_slice(left);
            out.extend_from_slice(right);
        });
        out
    }
}

struct Product<'a> {
    panels: &'a [u32],
    bias: &'a [f32],
    inputs: usize,
    blocks: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { panels, bias, inputs, blocks, out } = self;
        let outputs = bias.len();
        for (panel, (weights, bias)) in panels.chunks_exact(inputs * WORDS).zip(bias.chunks_exact(PANEL)).enumerate() {
            for (block, x) in blocks.chunks_exact(ROWS * inputs).enumerate() {
                let mut tile = [[0.0; PANEL]; ROWS];
                product(simd, x, weights, &mut tile);
                let rows = out.chunks_exact_mut(outputs).skip(block * ROWS);
                for (row, sums) in rows.zip(&tile) {
                    let part = &mut row[panel * PANEL..][..PANEL];
                    part.iter_mut().zip(sums).zip(bias).for_each(|((out, sum), bias)| *out = sum + bias);
                }
            }
        }
    }
}

/// Its upper half, rounded to the nearest.
fn half(weight: f32) -> u32 {
    let bits = weight.to_bits();
    (bits + 0x7fff + (bits >> 16 & 1)) >> 16
}

/// Six rows times 32 outputs.
#[inline(always)]
fn product<S: Simd>(simd: S, x: &[f32], weights: &[u32], tile: &mut [[f32; PANEL]; ROWS]) {
    let (weights, _) = S::as_simd_u32s(weights);
    let vectors = WORDS / S::U32_LANES;
    let (sixteen, upper) = (simd.splat_u32s(16), simd.splat_u32s(0xffff_0000));
    for at in 0..vectors {
        let mut sums = [[simd.splat_f32s(0.0); 2]; ROWS];
        for (words, x) in weights.chunks_exact(vectors).zip(x.chunks_exact(ROWS)) {
            let first = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(words[at], sixteen));
            let second = simd.transmute_f32s_u32s(simd.and_u32s(words[at], upper));
            for (sum, x) in sums.iter_mut().zip(x) {
                let x = simd.splat_f32s(*x);
                sum[0] = simd.mul_add_e_f32s(x, first, sum[0]);
                sum[1] = simd.mul_add_e_f32s(x, second, sum[1]);
            }
        }
        for (row, sums) in tile.iter_mut().zip(sums) {
            let (row, _) = S::as_mut_simd_f32s(row);
            row[at] = sums[0];
            row[at + vectors] = sums[1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_the_sum_of_the_products() {
        let (inputs, outputs, rows) = (48, 96, 13);
        // Numbers that the half of a weight can say.
        let value = |n: usize| ((n * 37 % 101) as f32 - 50.0) / 64.0;
        let weights: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let bias: Vec<f32> = (0..outputs).map(|n| value(n + 7)).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|n| value(n + 3)).collect();
        let linear = Linear::new(&weights, bias.clone(), inputs);
        for halved in [false, true] {
            let out = linear.apply(&x, &mut Scratch::default(), halved);
            for row in 0..rows {
                for output in 0..outputs {
                    let sum: f32 = (0..inputs).map(|n| x[row * inputs + n] * weights[output * inputs + n]).sum();
                    assert!((out[row * outputs + output] - sum - bias[output]).abs() < 1e-4);
                }
            }
        }
    }
}
