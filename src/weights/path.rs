//! Where a parameter stands in its module while the module is walked.

/// The fields entered on the way to a parameter.
#[derive(Clone, Debug, Default)]
pub struct ParamPath {
    names: Vec<String>,
    containers: Vec<String>,
}

impl ParamPath {
    /// Follows burn's `enter_module`.
    pub fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    /// Follows burn's `exit_module`.
    pub fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    /// The stored name, for example `encoder.blocks.0.norm1.gamma`.
    pub fn dotted(&self) -> String {
        self.names.join(".")
    }

    /// The timm name, for example `blocks.0.norm1.weight`.
    pub fn timm(&self) -> String {
        let start = usize::from(self.names.len() > 1 && matches!(self.names[0].as_str(), "encoder" | "decoder"));
        let mut names: Vec<&str> = self.names[start..].iter().map(String::as_str).collect();
        if let Some(last) = names.last_mut() {
            *last = match *last {
                "gamma" if self.is_norm() => "weight",
                "beta" if self.is_norm() => "bias",
                other => other,
            };
        }
        names.join(".")
    }

    /// The field's own name.
    pub fn field(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// Whether the parameter is the matrix of a linear layer, which burn keeps as `[in, out]`.
    pub fn is_linear(&self) -> bool {
        self.container() == "Struct:Linear" && self.field() == "weight"
    }

    /// The kind of module the parameter belongs to, as burn names it.
    pub fn container(&self) -> &str {
        self.containers.last().map_or("", String::as_str)
    }

    fn is_norm(&self) -> bool {
        matches!(self.container(), "Struct:LayerNorm" | "Struct:BatchNorm")
    }
}
