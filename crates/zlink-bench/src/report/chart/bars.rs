//! Bars by engine, a chart for each transport and kind of a report.

use std::fs;
use std::path::Path;

use plotters::prelude::*;

use super::{Area, DrawError, colour, legend};
use crate::cell::{Kind, Transport};
use crate::stats::Metric;
use crate::suite::{CellResult, SuiteResult};

/// Pixels for the title and the names of the engines above the bars.
const HEAD_HEIGHT: i32 = 52;

/// A chart with more groups of bars than this would not be read.
const CELLS_MAX: usize = 16;

struct Bar {
    engine: usize,
    value: f64,
    /// A second value, drawn as a line above the bar.
    upper: Option<f64>,
}

/// Draws what there is into `folder` and returns titles and file names.
pub(crate) fn draw(result: &SuiteResult, folder: &Path) -> Result<Vec<(String, String)>, String> {
    let mut drawn = Vec::new();
    for &transport in Transport::ALL {
        for &kind in Kind::ALL {
            let cells: Vec<&CellResult> = result
                .cells
                .iter()
                .filter(|one| one.cell.transport == transport && one.cell.kind == kind)
                .collect();
            if cells.len() > CELLS_MAX {
                continue;
            }
            let what = match kind {
                _ if kind.has_latency() => "p50 (line: p99), µs",
                Kind::Connect => "thousand a second",
                Kind::Idle => "MiB",
                _ => "thousand messages a second",
            };
            let title = format!("{}: {}, {what}", transport.title(), kind.title().to_lowercase());
            let Some(svg) = render(&title, kind, &cells, &result.engines)? else { continue };
            let file = format!("{}-{}.svg", kind.name(), transport.name());
            let path = folder.join(&file);
            fs::write(&path, svg).map_err(|error| format!("{}: {error}", path.display()))?;
            drawn.push((title, file));
        }
    }
    Ok(drawn)
}

/// `None` if no engine has a figure to show.
fn render(
    title: &str,
    kind: Kind,
    cells: &[&CellResult],
    engines: &[(String, String)],
) -> Result<Option<String>, String> {
    let groups: Vec<Vec<Bar>> = cells.iter().map(|one| bars(kind, one, engines)).collect();
    let values = || groups.iter().flatten().flat_map(|bar| std::iter::once(bar.value).chain(bar.upper));
    let (Some(low), Some(high)) = (values().reduce(f64::min), values().reduce(f64::max)) else {
        return Ok(None);
    };
    let labels: Vec<String> = cells.iter().map(|one| one.cell.label()).collect();
    let mut svg = String::new();
    let width = (190 * cells.len() as u32).clamp(640, 3000);
    let area = SVGBackend::with_string(&mut svg, (width, 420)).into_drawing_area();
    paint(&area, title, (low / 1.6, high * 1.2), &groups, &labels, engines)
        .map_err(|error| format!("chart: {error}"))?;
    drop(area);
    Ok(Some(svg))
}

fn bars(kind: Kind, one: &CellResult, engines: &[(String, String)]) -> Vec<Bar> {
    engines
        .iter()
        .enumerate()
        .filter_map(|(engine, (name, _))| {
            let runs = one.row(name)?.complete()?;
            let bar = match kind {
                _ if kind.has_latency() => Bar {
                    engine,
                    value: Metric::P50.median(runs)? / 1e3,
                    upper: Metric::P99.median(runs).map(|nanos| nanos / 1e3),
                },
                _ => Bar { engine, value: Metric::main_of(kind).median(runs)? / 1e3, upper: None },
            };
            (bar.value > 0.0).then_some(bar)
        })
        .collect()
}

fn paint(
    area: &Area<'_>,
    title: &str,
    (low, high): (f64, f64),
    groups: &[Vec<Bar>],
    labels: &[String],
    engines: &[(String, String)],
) -> Result<(), DrawError> {
    area.fill(&WHITE)?;
    let (head, body) = area.split_vertically(HEAD_HEIGHT);
    head.draw(&Text::new(title.to_owned(), (20, 10), ("sans-serif", 18)))?;
    legend(&head, 36, 20, engines.iter().enumerate().map(|(engine, (name, _))| (engine, name.as_str())))?;
    let mut chart = ChartBuilder::on(&body)
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..groups.len() as f64, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_label_formatter(&|value| format!("{value:.*}", usize::from(*value < 10.0)))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()?;
    let slot = 0.86 / engines.len().max(1) as f64;
    for engine in 0..engines.len() {
        let colour = colour(engine);
        let own = |group: &'_ Vec<Bar>| group.iter().position(|bar| bar.engine == engine);
        let places = groups.iter().enumerate().filter_map(|(index, group)| {
            let left = index as f64 + 0.07 + slot * engine as f64;
            Some((left, &group[own(group)?]))
        });
        let rectangles = places.clone().map(|(left, bar)| {
            Rectangle::new([(left, low), (left + slot * 0.92, bar.value)], colour.filled())
        });
        chart.draw_series(rectangles)?;
        let lines = places.filter_map(|(left, bar)| {
            let middle = left + slot * 0.46;
            Some(PathElement::new(vec![(middle, bar.value), (middle, bar.upper?)], colour.stroke_width(2)))
        });
        chart.draw_series(lines)?;
    }
    for (index, label) in labels.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(index as f64 + 0.07, low));
        area.draw(&Text::new(label.clone(), (x, y + 10), ("sans-serif", 13)))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn a_chart_shows_the_engines_that_have_a_result() {
        let mut result = sample();
        result.engines = ["libzmq", "fast", "broken"].map(|name| (name.into(), String::new())).into();
        let cells: Vec<&CellResult> = result.cells.iter().take(1).collect();
        let svg = render("a title", Kind::Stream, &cells, &result.engines)
            .expect("drawing into memory works")
            .expect("two engines have a result");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["a title", "libzmq", "fast", "push-pull 64B, pin none"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn there_is_no_chart_without_a_result() {
        let mut result = sample();
        for row in &mut result.cells[0].rows {
            row.runs.clear();
        }
        let cells: Vec<&CellResult> = result.cells.iter().take(1).collect();
        let svg = render("a title", Kind::Stream, &cells, &result.engines);
        assert_eq!(svg, Ok(None));
    }
}
