//! What an optimizer knows of one parameter.

/// What is special to one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterGroup {
    /// Factor on the learning rate.
    pub lr_scale: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Dimensions of the parameter.
    pub dims: usize,
    /// Whether its learning rate stays at the peak.
    pub keeps_rate: bool,
}
