//! A group of runs as the page shows it.

use crate::app::runs::Group;
use crate::web::filters::measure_text;

impl Group {
    /// The deviation with as many digits behind the point as its mean.
    pub(in crate::web) fn sd_text(&self) -> Option<String> {
        let (mean, sd) = (self.mean?, self.sd?);
        let shown = measure_text(mean);
        let digits = shown.split_once('.').map_or(0, |(_, behind)| behind.len());
        Some(if shown.contains('e') {
            measure_text(sd)
        } else {
            format!("{sd:.digits$}")
        })
    }
}
