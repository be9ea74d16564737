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
    /// Ends the name of its files.
    pub name: &'static str,
    /// Explanation for the reader.
    pub caption: &'static str,
    /// Draws it for the workload of an index, or nothing where the results hold nothing for it.
    pub draw: fn(&crate::results::Results, usize) -> Option<String>,
}
