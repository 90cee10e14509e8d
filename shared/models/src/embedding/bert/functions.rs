//! The functions between the products. Loops without branches, which the compiler turns into vector instructions.

use pulp::Arch;

/// `e^x` to about seven digits, without a call.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // 2^(x / ln 2): the whole part goes into the exponent's bits, the rest into a polynomial.
    let y = (x * std::f32::consts::LOG2_E).clamp(-126.0, 126.0);
    let whole = (y + 12_582_912.0) - 12_582_912.0;
    let rest = (y - whole) * std::f32::consts::LN_2;
    let power = 1.0
        + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest * (1.0 / 120.0 + rest / 720.0)))));
    f32::from_bits(((whole as i32 + 127) as u32) << 23) * power
}

/// `x · Φ(x)`, with the error function of Abramowitz and Stegun 7.1.26 (error below 2e-7).
#[inline(always)]
fn gelu_one(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let polynomial = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    let erf = 1.0 - polynomial * exp(-z * z);
    0.5 * x * (1.0 + if x < 0.0 { -erf } else { erf })
}

pub(super) fn gelu(values: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || values.iter_mut().for_each(|x| *x = gelu_one(*x)),
    );
}

pub(super) fn softmax(values: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            values.iter_mut().for_each(|x| *x = exp(*x - greatest));
            let sum: f32 = values.iter().sum();
            values.iter_mut().for_each(|x| *x /= sum);
        },
    );
}

/// Each row to mean zero and variance one, then scaled and shifted.
pub(super) fn layer_norm(values: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let size = weight.len();
    for row in values.chunks_exact_mut(size) {
        let mean = row.iter().sum::<f32>() / size as f32;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / size as f32;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_gelu_are_close_to_the_real_ones() {
        for step in -2_000..2_000 {
            let x = step as f32 / 100.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 2e-6, "{x}");
        }
        for (x, expected) in
            [(-3.0, -0.004_049_69), (-1.0, -0.158_655_26), (0.0, 0.0), (0.5, 0.345_731_23), (2.0, 1.954_499_7)]
        {
            assert!((gelu_one(x) - expected).abs() < 2e-6, "{x}: {}", gelu_one(x));
        }
    }

    #[test]
    fn softmax_sums_to_one() {
        let mut values = [1.0, 2.0, 3.0, -80.0];
        softmax(&mut values);
        assert!((values.iter().sum::<f32>() - 1.0).abs() < 1e-6 && values[3] < 1e-30 && values[2] > values[1]);
    }
}
