//! Types of charts: a figure is a file name, a caption and an SVG document.

/// A chart that was drawn.
#[derive(Debug)]
pub struct Figure {
    /// Name of its file in the run's folder.
    pub file_name: String,
    /// Explanation for the reader.
    pub caption: String,
    /// The whole SVG document.
    pub svg: String,
}

/// A kind of chart that shows one workload.
pub struct WorkloadChart {
    /// Last part of the names of its files.
    pub name: &'static str,
    /// Explanation for the reader.
    pub caption: &'static str,
    /// Function that draws the chart for the workload with an index; `None` if the results hold
    /// nothing for it.
    pub draw: fn(&crate::results::Results, usize) -> Option<String>,
}
