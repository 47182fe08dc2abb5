//! Drawing of the procedural images: shapes, fills and a canvas.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Red, green and blue, from 0 to 1.
pub(super) type Color = [f32; 3];

/// The classes of the built-in set, in the order of their labels.
pub(super) const SHAPES: [Shape; 10] = [
    Shape::Disc,
    Shape::Ring,
    Shape::Crescent,
    Shape::Triangle,
    Shape::Square,
    Shape::Star,
    Shape::Cross,
    Shape::Heart,
    Shape::Arrow,
    Shape::Hourglass,
];

/// A shape within the unit circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Disc,
    Ring,
    Crescent,
    Triangle,
    Square,
    Star,
    Cross,
    Heart,
    Arrow,
    Hourglass,
    /// A long thin strip: no class, only in the way.
    Strip,
}

impl Shape {
    /// The name of the class.
    pub(super) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether a point is inside. The numbers are ours: each shape covers between a fourth and three fourths of the circle.
    fn contains(self, x: f32, y: f32) -> bool {
        let square = x * x + y * y;
        match self {
            Shape::Disc => square < 0.72,
            Shape::Ring => square < 0.9 && square > 0.3,
            Shape::Crescent => square < 0.95 && (x - 0.5).powi(2) + y * y > 0.62,
            Shape::Triangle => y > -0.5 && y < 1.0 - 3_f32.sqrt() * x.abs(),
            Shape::Square => x.abs() < 0.7 && y.abs() < 0.7,
            Shape::Star => in_star(x, y),
            Shape::Cross => (x.abs() < 0.26 && y.abs() < 0.95) || (y.abs() < 0.26 && x.abs() < 0.95),
            Shape::Heart => in_heart(x, y),
            Shape::Arrow => (y.abs() < 0.2 && x > -0.95 && x < 0.2) || (x > 0.1 && y.abs() < (0.95 - x) * 0.9),
            Shape::Hourglass => y.abs() < 0.85 && x.abs() < 0.08 + 0.75 * y.abs(),
            Shape::Strip => y.abs() < 0.13 && x.abs() < 1.0,
        }
    }
}

/// Five points at radius 1, five notches at 0.42.
fn in_star(x: f32, y: f32) -> bool {
    use std::f32::consts::PI;
    let sector = 2.0 * PI / 5.0;
    let radius = (x * x + y * y).sqrt();
    let angle = ((x.atan2(y) + 2.0 * PI) % sector - sector / 2.0).abs();
    // Folded so that the notch lies at angle 0 and the point at half a sector: inside is below the line between.
    let (notch, point) = (0.42, [(sector / 2.0).cos(), (sector / 2.0).sin()]);
    let at = [radius * angle.cos(), radius * angle.sin()];
    (point[0] - notch) * at[1] - point[1] * (at[0] - notch) > 0.0
}

/// Two discs side by side on a triangle that stands on its tip.
fn in_heart(x: f32, y: f32) -> bool {
    let lobe = (x.abs() - 0.42).powi(2) + (y - 0.35).powi(2) < 0.2;
    lobe || (y <= 0.35 && x.abs() < 0.68 * (y + 0.9))
}

/// How a surface is colored, as a mix of two colors that depends on the place.
#[derive(Clone, Debug)]
pub(super) struct Fill {
    colors: [Color; 2],
    pattern: Pattern,
}

#[derive(Clone, Debug)]
enum Pattern {
    Plain,
    Slope([f32; 2]),
    Stripes { along: [f32; 2], phase: f32 },
    Checks { along: [f32; 2], phase: f32 },
    Clouds { table: Box<[f32; 64]>, scale: f32 },
}

impl Fill {
    /// A random pattern of two colors, with `detail` waves or clouds in a unit of length.
    pub(super) fn random(colors: [Color; 2], detail: f32, rng: &mut ChaCha8Rng) -> Self {
        let angle: f32 = rng.random_range(0.0..std::f32::consts::TAU);
        let along = |length: f32| [angle.cos() * length, angle.sin() * length];
        let phase = rng.random_range(0.0..1.0);
        let pattern = match rng.random_range(0..6) {
            0 => Pattern::Plain,
            1 => Pattern::Slope(along(0.8)),
            2 => Pattern::Stripes {
                along: along(detail),
                phase,
            },
            3 => Pattern::Checks {
                along: along(detail),
                phase,
            },
            _ => Pattern::Clouds {
                table: Box::new(std::array::from_fn(|_| rng.random_range(0.0..1.0))),
                scale: detail,
            },
        };
        Fill { colors, pattern }
    }

    /// The color at a place.
    pub(super) fn at(&self, x: f32, y: f32) -> Color {
        let wave = |t: f32| 0.5 + 0.5 * (std::f32::consts::TAU * t).sin();
        let share = match &self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Slope(along) => (0.5 + x * along[0] + y * along[1]).clamp(0.0, 1.0),
            Pattern::Stripes { along, phase } => wave(x * along[0] + y * along[1] + phase),
            Pattern::Checks { along, phase } => {
                let [u, v] = [x * along[0] + y * along[1] + phase, y * along[0] - x * along[1] + phase];
                f32::from(u8::from((u.floor() as i32 + v.floor() as i32) & 1 == 0))
            }
            Pattern::Clouds { table, scale } => clouds(table, x * scale, y * scale),
        };
        std::array::from_fn(|color| self.colors[0][color] + share * (self.colors[1][color] - self.colors[0][color]))
    }
}

/// Value noise: random numbers on a grid, smoothly in between, in two octaves.
fn clouds(table: &[f32; 64], x: f32, y: f32) -> f32 {
    let octave = |x: f32, y: f32| {
        let (left, top) = (x.floor(), y.floor());
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (u, v) = (smooth(x - left), smooth(y - top));
        let at = |dx: i32, dy: i32| table[(((left as i32 + dx) & 7) + 8 * ((top as i32 + dy) & 7)) as usize];
        let row = |dy: i32| at(0, dy) + u * (at(1, dy) - at(0, dy));
        row(0) + v * (row(1) - row(0))
    };
    (0.7 * octave(x, y) + 0.3 * octave(2.0 * x + 3.0, 2.0 * y + 5.0)).clamp(0.0, 1.0)
}

/// A shape at its place; lengths are in sides of the image.
#[derive(Clone, Debug)]
pub(super) struct ShapeLayer {
    pub shape: Shape,
    pub center: [f32; 2],
    pub radius: f32,
    /// Counter-clockwise, in radians.
    pub angle: f32,
    /// Width over height, before turning.
    pub stretch: f32,
    pub fill: Fill,
    /// 1 hides what is below.
    pub opacity: f32,
}

/// A square image being drawn.
pub(super) struct ShapeCanvas {
    side: usize,
    pixels: Vec<Color>,
}

impl ShapeCanvas {
    /// A canvas of `side` x `side` pixels, filled.
    pub(super) fn new(side: usize, fill: &Fill) -> Self {
        let place = |at: usize| (at as f32 + 0.5) / side as f32;
        let pixels = (0..side * side).map(|at| fill.at(place(at % side), place(at / side))).collect();
        ShapeCanvas { side, pixels }
    }

    /// Draws a shape over what is there, with four samples a pixel.
    pub(super) fn draw(&mut self, layer: &ShapeLayer) {
        let side = self.side as f32;
        let (sin, cos) = layer.angle.sin_cos();
        let stretch = layer.stretch.sqrt();
        let reach = layer.radius * stretch.max(1.0 / stretch);
        let span = |center: f32| {
            let edge = |place: f32| (place * side).clamp(0.0, side) as usize;
            edge(center - reach)..(edge(center + reach) + 1).min(self.side)
        };
        for row in span(layer.center[1]) {
            for column in span(layer.center[0]) {
                let local = |dx: f32, dy: f32| {
                    let x = ((column as f32 + dx) / side - layer.center[0]) / layer.radius;
                    let y = ((row as f32 + dy) / side - layer.center[1]) / layer.radius;
                    [(x * cos + y * sin) / stretch, (y * cos - x * sin) * stretch]
                };
                let samples = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
                let inside = samples.iter().filter(|(dx, dy)| {
                    let [x, y] = local(*dx, *dy);
                    layer.shape.contains(x, y)
                });
                let cover = inside.count() as f32 / 4.0 * layer.opacity;
                if cover > 0.0 {
                    let [x, y] = local(0.5, 0.5);
                    let color = layer.fill.at(x, y);
                    let pixel = &mut self.pixels[row * self.side + column];
                    (0..3).for_each(|c| pixel[c] += cover * (color[c] - pixel[c]));
                }
            }
        }
    }

    /// Mea color within `radius` of `center`, in sides of the image.
    pub(super) fn mean_around(&self, center: [f32; 2], radius: f32) -> Color {
        let mut sum = [0.0; 3];
        let mut count = 0.0;
        for (at, pixel) in self.pixels.iter().enumerate() {
            let place = |at: usize| (at as f32 + 0.5) / self.side as f32;
            if (place(at % self.side) - center[0]).hypot(place(at / self.side) - center[1]) < radius {
                (0..3).for_each(|c| sum[c] += pixel[c]);
                count += 1.0;
            }
        }
        sum.map(|sum| sum / f32::max(count, 1.0))
    }

    /// The image as bytes, [side, side, 3], each value changed by `change` first.
    pub(super) fn finish(self, mut change: impl FnMut(f32) -> f32) -> impl Iterator<Item = u8> {
        self.pixels
            .into_iter()
            .flatten()
            .map(move |value| (change(value).clamp(0.0, 1.0) * 255.0).round() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_lies_within_its_circle_and_covers_enough_of_it() {
        for shape in SHAPES {
            let grid = |n: i32| n as f32 / 100.0;
            let inside: Vec<(f32, f32)> = (-150..150)
                .flat_map(|x| (-150..150).map(move |y| (grid(x), grid(y))))
                .filter(|(x, y)| shape.contains(*x, *y))
                .collect();
            assert!(inside.iter().all(|(x, y)| x.hypot(*y) < 1.2), "{shape:?} leaves its circle");
            let share = inside.len() as f64 / 10_000.0 / std::f64::consts::PI;
            assert!((0.2..0.8).contains(&share), "{shape:?} covers {share}");
        }
    }

    #[test]
    fn a_drawn_shape_covers_its_middle_and_leaves_the_corners() {
        let plain = |color: Color| Fill {
            colors: [color; 2],
            pattern: Pattern::Plain,
        };
        let mut canvas = ShapeCanvas::new(8, &plain([0.0; 3]));
        canvas.draw(&ShapeLayer {
            shape: Shape::Disc,
            center: [0.5, 0.5],
            radius: 0.3,
            angle: 1.0,
            stretch: 1.0,
            fill: plain([1.0; 3]),
            opacity: 1.0,
        });
        let bytes: Vec<u8> = canvas.finish(|value| value).collect();
        assert_eq!((bytes[0], bytes[(4 * 8 + 4) * 3]), (0, 255));
    }
}
