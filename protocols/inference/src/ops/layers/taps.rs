//! Where each output of a resize looks along one axis, and with what weights.
//!
//! Rules. The place of output o in the input, every step rounded to `f32`, with
//! scale s, input size n, output size m, fractional size f = s · n:
//! - half_pixel (o + ½) / s − ½; pytorch_half_pixel the same, 0 if f ≤ 1;
//!   tf_half_pixel_for_nn (o + ½) / s; asymmetric o / s;
//! - align_corners o · (n − 1) / (f − 1), 0 if f = 1;
//! - half_pixel_symmetric ((n / 2) · (1 − m / f) + (o + ½) / s) − ½;
//! - tf_crop_and_resize, region (a, b): a · (n − 1) + (o · (b − a)) · (n − 1) / (f − 1), or
//!   (½ · (a + b)) · (n − 1) if f ≤ 1; outside below 0 and above n − 1.
//!
//! Nearest: floor, ceil, or rounding with a tie going down or up; opset 10 and
//! Upsample: floor, or ceil where s < 1. Linear and cubic: i = ⌊x⌋, r = x − i;
//! weights in binary64 as below, divided by their sum where that is said, then
//! rounded to `f32`; taps beyond an edge read the edge.
//! - linear 1 − r, r at i, i + 1; cubic (Keys, A) at i − 1 … i + 2, with
//!   `exclude_outside` those beyond an edge 0 and divided by the sum;
//! - antialias with t = min(s, 1): the kernel at (j − r) · t for j from
//!   ⌊−R / t⌋ + 1 to R' = 1 − that, R = 1 (max(0, 1 − |d|)) or 2 (Keys), divided
//!   by the sum.

/// How output places map to input places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    TfHalfPixel,
    TfCrop,
}

/// How a place becomes an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    Simple,
}

/// The interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Filter {
    Nearest(Nearest),
    Linear {
        antialias: bool,
    },
    Cubic {
        a: f32,
        antialias: bool,
        exclude: bool,
    },
}

impl Filter {
    /// Most taps of an output.
    pub(super) fn width(&self, p: &Place) -> u64 {
        let (radius, antialias) = match self {
            Filter::Nearest(_) => return 1,
            Filter::Linear { antialias } => (1.0, *antialias),
            Filter::Cubic { antialias, .. } => (2.0, *antialias),
        };
        let (low, high) = reach(radius, antialias, p.scale);
        (high - low).unsigned_abs()
    }
}

/// First and one past the last tap, relative to ⌊x⌋.
fn reach(radius: f64, antialias: bool, scale: f32) -> (i64, i64) {
    let t = if antialias {
        f64::from(scale).min(1.0)
    } else {
        1.0
    };
    // A tiny scale reaches over everything, and the gas says so.
    let low = (-radius / t).floor().max(-1e15) as i64 + 1;
    (low, 2 - low)
}

/// One axis's sizes and scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) scale: f32,
    pub(super) roi: Option<(f32, f32)>,
}

impl Place {
    pub(super) fn same(n: usize) -> Self {
        Self {
            input: n,
            output: n,
            scale: 1.0,
            roi: None,
        }
    }

    /// Whether the axis stays as it is.
    pub(super) fn untouched(&self) -> bool {
        let whole = matches!(self.roi, None | Some((0.0, 1.0)));
        self.scale == 1.0 && self.input == self.output && whole
    }

    fn source(&self, o: usize, mode: Coordinates) -> f32 {
        let (s, n, m) = (self.scale, self.input as f32, self.output as f32);
        let (o, f) = (o as f32, s * n);
        match mode {
            Coordinates::HalfPixel => (o + 0.5) / s - 0.5,
            Coordinates::PytorchHalfPixel => {
                if f > 1.0 {
                    (o + 0.5) / s - 0.5
                } else {
                    0.0
                }
            }
            Coordinates::TfHalfPixel => (o + 0.5) / s,
            Coordinates::Asymmetric => o / s,
            Coordinates::AlignCorners => {
                if f == 1.0 {
                    0.0
                } else {
                    o * (n - 1.0) / (f - 1.0)
                }
            }
            Coordinates::HalfPixelSymmetric => {
                let offset = (n / 2.0) * (1.0 - m / f);
                offset + (o + 0.5) / s - 0.5
            }
            Coordinates::TfCrop => {
                let (a, b) = self.roi.unwrap_or((0.0, 1.0));
                if f > 1.0 {
                    a * (n - 1.0) + o * (b - a) * (n - 1.0) / (f - 1.0)
                } else {
                    0.5 * (a + b) * (n - 1.0)
                }
            }
        }
    }
}

/// The taps of every output along an axis.
pub(super) struct Taps {
    /// (index, weight), those of output o in `starts[o]..starts[o + 1]`.
    taps: Vec<(usize, f32)>,
    starts: Vec<usize>,
    outside: Vec<bool>,
}

/// Keys' cubic kernel.
pub(super) fn keys(d: f64, a: f64) -> f64 {
    let d = d.abs();
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}

impl Taps {
    pub(super) fn new(p: &Place, filter: Filter, mode: Coordinates) -> Self {
        let mut t = Self {
            taps: Vec::new(),
            starts: Vec::with_capacity(p.output + 1),
            outside: Vec::new(),
        };
        let last = p.input.saturating_sub(1) as i64;
        for o in 0..p.output {
            t.starts.push(t.taps.len());
            let x = p.source(o, mode);
            if mode == Coordinates::TfCrop {
                // A place that is not a number is outside too.
                let inside = x >= 0.0 && x <= last as f32;
                t.outside.push(!inside);
            }
            let (radius, antialias, a, exclude) = match filter {
                Filter::Nearest(n) => {
                    t.taps
                        .push((nearest(x, n, p.scale).clamp(0, last) as usize, 1.0));
                    continue;
                }
                Filter::Linear { antialias } => (1.0, antialias, None, false),
                Filter::Cubic {
                    a,
                    antialias,
                    exclude,
                } => (2.0, antialias, Some(f64::from(a)), exclude),
            };
            let floor = x.floor();
            let (i, r) = (floor as i64, f64::from(x - floor));
            let (low, high) = reach(radius, antialias, p.scale);
            let scale = if antialias {
                f64::from(p.scale).min(1.0)
            } else {
                1.0
            };
            let weight = |j: i64| {
                let d = (j as f64 - r) * scale;
                let beyond = exclude && !(0..=last).contains(&i.saturating_add(j));
                match a {
                    _ if beyond => 0.0,
                    Some(a) => keys(d, a),
                    None => (1.0 - d.abs()).max(0.0),
                }
            };
            let divide = antialias || exclude;
            let sum = if divide {
                (low..high).fold(0.0, |s, j| s + weight(j))
            } else {
                1.0
            };
            for j in low..high {
                let w = (weight(j) / sum) as f32;
                if w != 0.0 {
                    let at = i.saturating_add(j).clamp(0, last);
                    t.taps.push((at as usize, w));
                }
            }
        }
        t.starts.push(t.taps.len());
        t
    }

    /// Number of outputs.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Index and weight of the taps of output `o`.
    pub(super) fn of(&self, o: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.taps[self.starts[o]..self.starts[o + 1]]
            .iter()
            .copied()
    }

    /// The one index of each output (nearest).
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.taps.iter().map(|t| t.0)
    }

    pub(super) fn outside(&self, o: usize) -> bool {
        self.outside.get(o).copied().unwrap_or(false)
    }

    pub(super) fn any_outside(&self) -> bool {
        self.outside.contains(&true)
    }
}

fn nearest(x: f32, mode: Nearest, scale: f32) -> i64 {
    let floor = x.floor();
    let rounded = match mode {
        Nearest::Floor => floor,
        Nearest::Ceil => x.ceil(),
        Nearest::Simple => {
            if scale < 1.0 {
                x.ceil()
            } else {
                floor
            }
        }
        // The difference is exact.
        Nearest::PreferFloor => {
            if x - floor > 0.5 {
                floor + 1.0
            } else {
                floor
            }
        }
        Nearest::PreferCeil => {
            if x - floor >= 0.5 {
                floor + 1.0
            } else {
                floor
            }
        }
    };
    rounded as i64
}
