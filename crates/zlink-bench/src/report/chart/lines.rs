//! Lines by engine over something that grows: a quantile, a size, a number of sockets.

use plotters::prelude::*;

use super::{Area, DrawError, colour, legend};
use crate::cell::format_size;

/// As wide as a phone.
const WIDTH: u32 = 360;
const HEIGHT: u32 = 270;
/// Pixels for the title and the names of the engines.
const HEAD_HEIGHT: i32 = 52;

/// What lies along the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// A part of 1: 0.9, 0.99 and 0.999 stand equally far apart.
    Quantile,
    /// Bytes, doubling.
    Size,
    /// A number, doubling.
    Sockets,
}

impl Axis {
    /// Where a value stands; `None` at the end of an endless axis.
    fn place(self, value: f64) -> Option<f64> {
        let place = match self {
            Self::Quantile => -(1.0 - value).log10(),
            Self::Size | Self::Sockets => value.log2(),
        };
        place.is_finite().then_some(place)
    }

    /// What is written at a place; nothing between the steps.
    fn label(self, place: f64) -> String {
        if (place - place.round()).abs() > 1e-9 {
            return String::new();
        }
        match self {
            Self::Quantile => {
                let percent = 100.0 * (1.0 - 10_f64.powf(-place));
                format!("{} %", (percent * 1e6).round() / 1e6)
            }
            Self::Size => format_size(place.exp2() as usize),
            Self::Sockets => format!("{:.0}", place.exp2()),
        }
    }
}

/// One line, of the engine that has this number in the report.
pub(crate) struct Series {
    pub(crate) engine: usize,
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart to be drawn; its upward axis is logarithmic.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) axis: Axis,
    pub(crate) series: Vec<Series>,
}

impl Chart {
    /// The chart as an SVG element; `None` if there is no line with two points.
    ///
    /// # Errors
    ///
    /// What plotters could not do.
    pub(crate) fn render(&self) -> Result<Option<String>, String> {
        let lines: Vec<Vec<(f64, f64)>> = self.series.iter().map(|series| self.line(series)).collect();
        if lines.iter().all(|line| line.len() < 2) {
            return Ok(None);
        }
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        self.paint(&area, &lines).map_err(|error| format!("chart: {error}"))?;
        drop(area);
        Ok(Some(svg))
    }

    fn line(&self, series: &Series) -> Vec<(f64, f64)> {
        let points = series.points.iter().filter(|(_, value)| *value > 0.0);
        points.filter_map(|(at, value)| Some((self.axis.place(*at)?, *value))).collect()
    }

    fn paint(&self, area: &Area<'_>, lines: &[Vec<(f64, f64)>]) -> Result<(), DrawError> {
        let points = || lines.iter().flatten();
        let span = |value: fn(&(f64, f64)) -> f64| {
            let low = points().map(value).fold(f64::INFINITY, f64::min);
            (low, points().map(value).fold(f64::NEG_INFINITY, f64::max))
        };
        let ((left, right), (low, high)) = (span(|point| point.0), span(|point| point.1));
        // Within little more than a decade, powers of ten would be one label or none.
        let base = if high / low < 30.0 { 2.0 } else { 10.0 };
        area.fill(&WHITE)?;
        let (head, body) = area.split_vertically(HEAD_HEIGHT);
        head.draw(&Text::new(self.title.clone(), (8, 6), ("sans-serif", 13)))?;
        let shown = self.series.iter().zip(lines).filter(|(_, line)| !line.is_empty());
        legend(&head, 24, 8, shown.map(|(series, _)| (series.engine, series.name.as_str())))?;
        let mut chart = ChartBuilder::on(&body)
            .margin(8)
            .margin_right(20)
            .x_label_area_size(24)
            .y_label_area_size(52)
            .build_cartesian_2d(
                left..right.max(left + 1e-6),
                (low / 1.3..high * 1.3).log_scale().base(base),
            )?;
        chart
            .configure_mesh()
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|place| self.axis.label(*place))
            .y_label_formatter(&|value| format!("{value:.*}", usize::from(*value < 10.0)))
            .label_style(("sans-serif", 11))
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .draw()?;
        for (series, line) in self.series.iter().zip(lines) {
            let colour = colour(series.engine);
            chart.draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?;
            chart.draw_series(line.iter().map(|point| Circle::new(*point, 2, colour.filled())))?;
        }
        area.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_labels_and_places_between_them_have_none() {
        assert_eq!(Axis::Size.label(10.0), "1K");
        assert_eq!(Axis::Sockets.label(3.0), "8");
        assert_eq!(Axis::Quantile.label(0.0), "0 %");
        assert_eq!(Axis::Quantile.label(3.0), "99.9 %");
        assert_eq!(Axis::Size.label(10.5), "");
        assert_eq!(Axis::Quantile.place(1.0), None);
    }

    #[test]
    fn a_line_needs_two_points() {
        let chart = |points: Vec<(f64, f64)>| Chart {
            title: "a title".into(),
            axis: Axis::Size,
            series: vec![Series { engine: 0, name: "an engine".into(), points }],
        };
        assert_eq!(chart(vec![(64.0, 1.0)]).render(), Ok(None));
        assert_eq!(chart(vec![(64.0, 1.0), (128.0, 0.0)]).render(), Ok(None));
        let svg = chart(vec![(64.0, 1.0), (1024.0, 5.0)]).render().expect("drawing into memory works");
        let svg = svg.expect("there are two points");
        assert!(svg.contains("a title") && svg.contains("an engine"), "{svg}");
    }
}
