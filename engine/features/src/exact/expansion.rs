//! Floating point numbers as exact sums of others.
//!
//! Method: J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric
//! predicates" (1997), rounding as in Python's `math.fsum`.

/// Sum of two numbers and the part of it that rounding dropped; exact unless the sum overflows.
#[inline]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let shadow = sum - a;
    (sum, (a - (sum - shadow)) + (b - shadow))
}

/// Product of two numbers and the part of it that rounding dropped; exact unless it over- or underflows.
/// Dekker's method, since a fused multiplication is a slow call where the processor's is not known of.
#[inline]
pub(crate) fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (halves(a), halves(b));
    let dropped = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    (product, dropped)
}

/// Upper and lower half of a number's digits (Veltkamp).
#[inline]
fn halves(a: f64) -> (f64, f64) {
    const SPLITTER: f64 = 134_217_729.0;
    let spread = SPLITTER * a;
    let high = spread - (spread - a);
    (high, a - high)
}

/// A number as an exact sum of numbers of growing size whose digits do not overlap.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expansion(Vec<f64>);

impl Expansion {
    /// Adds a finite number.
    pub(crate) fn add(&mut self, number: f64) {
        let (mut carried, mut kept) = (number, 0);
        for at in 0..self.0.len() {
            let (sum, dropped) = two_sum(carried, self.0[at]);
            if dropped != 0.0 {
                self.0[kept] = dropped;
                kept += 1;
            }
            carried = sum;
        }
        self.0.truncate(kept);
        if carried != 0.0 {
            self.0.push(carried);
        }
    }

    /// Adds the product of two numbers.
    pub(crate) fn add_product(&mut self, a: f64, b: f64) {
        let (product, dropped) = two_product(a, b);
        self.add(product);
        self.add(dropped);
    }

    /// The nearest floating point number, ties to even: the same for every way to write the sum.
    pub(crate) fn round(&self) -> f64 {
        let mut left = self.0.len();
        let (mut high, mut low) = (0.0, 0.0);
        if left > 0 {
            left -= 1;
            high = self.0[left];
        }
        while left > 0 && low == 0.0 {
            left -= 1;
            let (sum, dropped) = two_sum(high, self.0[left]);
            (high, low) = (sum, dropped);
        }
        if left > 0 && low != 0.0 && low.is_sign_negative() == self.0[left - 1].is_sign_negative() {
            let doubled = low * 2.0;
            let moved = high + doubled;
            if moved - high == doubled {
                high = moved;
            }
        }
        high
    }

    /// The one way to write the sum in which every term is the nearest number to what is left of it.
    pub(crate) fn terms(mut self) -> Vec<f64> {
        let mut terms = Vec::new();
        loop {
            let term = self.round();
            if term == 0.0 || !term.is_finite() {
                return terms;
            }
            terms.push(term);
            self.add(-term);
        }
    }

    /// Memory outside of the struct, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<f64>()
    }
}
