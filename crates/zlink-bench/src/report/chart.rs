//! SVG charts, drawn by plotters: it has the axes and logarithmic scales, and writes an SVG that needs no script and no
//! font. The charts are small, so that one is as wide as a phone, and a wider page puts several side by side.

mod bars;
mod lines;

use plotters::coord::Shift;
use plotters::prelude::*;

pub(crate) use bars::draw;
pub(crate) use lines::{Axis, Chart, Series};

/// Colours that differ in lightness too, so that a print in grey can be read.
const COLOURS: [RGBColor; 7] = [
    RGBColor(120, 120, 120),
    RGBColor(185, 185, 185),
    RGBColor(200, 60, 30),
    RGBColor(240, 160, 70),
    RGBColor(40, 90, 160),
    RGBColor(60, 150, 90),
    RGBColor(130, 80, 160),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type DrawError = Box<dyn std::error::Error>;

fn colour(engine: usize) -> RGBColor {
    COLOURS[engine % COLOURS.len()]
}

/// The names of engines in their colours, from `top` downwards, as many in a line as fit.
fn legend<'n>(
    area: &Area<'_>,
    top: i32,
    left: i32,
    engines: impl Iterator<Item = (usize, &'n str)>,
) -> Result<(), DrawError> {
    let width = area.dim_in_pixel().0 as i32;
    let (mut x, mut y) = (left, top);
    for (engine, name) in engines {
        // There is no font to measure with: seven pixels a letter are rather too many.
        let needed = 30 + 7 * name.chars().count() as i32;
        if x + needed > width && x > left {
            (x, y) = (left, y + 14);
        }
        area.draw(&Rectangle::new([(x, y), (x + 10, y + 10)], colour(engine).filled()))?;
        area.draw(&Text::new(name.to_owned(), (x + 14, y), ("sans-serif", 12)))?;
        x += needed;
    }
    Ok(())
}
