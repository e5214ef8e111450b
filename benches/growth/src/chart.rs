//! Curves as SVG: both axes logarithmic, without a background, in greys and colours that can be read
//! on white and on black.
use crate::cases::Error;
use plotters::prelude::*;
use std::path::Path;

/// A line with its name.
pub struct Curve {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

const INK: RGBColor = RGBColor(128, 128, 128);
const COLOURS: [RGBColor; 8] = [
    RGBColor(46, 134, 222),
    RGBColor(230, 126, 34),
    RGBColor(39, 174, 96),
    RGBColor(214, 69, 80),
    RGBColor(155, 89, 182),
    RGBColor(158, 121, 92),
    RGBColor(219, 92, 168),
    RGBColor(26, 166, 166),
];
/// Of the legend, in pixels.
const ROW: i32 = 17;

/// The x axis is `n`, whatever each curve calls so.
pub fn draw(path: &Path, title: &str, unit: &str, curves: &[Curve]) -> Result<(), Error> {
    let legend = ROW * i32::try_from(curves.len())?;
    let size = (720, u32::try_from(364 + legend)?);
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(1.0, f64::max);
    let least = points().map(|p| p.1).fold(f64::MAX, f64::min);
    let first = points().map(|p| p.0).fold(f64::MAX, f64::min);
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let (above, below) = root.split_vertically(360);
    let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
    let decade = |y: f64, up: bool| {
        let log = y.log10();
        10f64.powf(if up {
            (log + 0.15).ceil()
        } else {
            (log - 0.15).floor()
        })
    };
    let mut chart = ChartBuilder::on(&above)
        .caption(title, text(16))
        .margin(8)
        .margin_right(28)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(
            (first..most(|p| p.0)).log_scale(),
            (decade(least, false)..decade(most(|p| p.1), true)).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.25))
        .axis_style(INK)
        .label_style(text(12))
        .axis_desc_style(text(13))
        .x_desc("n")
        .y_desc(unit)
        .x_label_formatter(&short)
        .y_label_formatter(&short)
        .draw()?;
    for (at, curve) in curves.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let style = colour.stroke_width(if at < COLOURS.len() { 2 } else { DASHED });
        chart.draw_series(LineSeries::new(curve.points.iter().copied(), style))?;
        let y = 8 + ROW * i32::try_from(at)?;
        below.draw(&PathElement::new(vec![(72, y), (112, y)], style))?;
        below.draw(&Text::new(curve.name.clone(), (120, y - 6), text(13)))?;
    }
    root.present()?;
    drop((chart, above, below, root));
    // Of its own plotters draws a dashed line dash by dash, in ten times the bytes.
    let dashed = format!("stroke-width=\"{DASHED}\"");
    let svg = svg.replace(&dashed, "stroke-width=\"2\" stroke-dasharray=\"6 4\"");
    std::fs::write(path, svg)?;
    Ok(())
}

/// A width that stands for dashes.
const DASHED: u32 = 3;

fn short(n: &f64) -> String {
    match *n {
        n if n >= 1e6 => format!("{}M", n / 1e6),
        n if n >= 1e3 => format!("{}k", n / 1e3),
        n => format!("{n}"),
    }
}
