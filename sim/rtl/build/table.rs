//! Reads `models.toml` and `rtl/filelist.f`.

use std::fs;
use std::path::Path;

/// One verilated model; see the comment in `models.toml`.
#[derive(Debug, Hash)]
pub struct Model {
    pub name: String,
    pub top: String,
    pub opt: u8,
    pub trace: bool,
    pub params: Vec<(String, String)>,
    pub sources: Vec<String>,
    pub flags: Vec<String>,
    pub clock: String,
    pub reset: String,
    /// Another model of the same ports, whose port structs this one has too.
    pub ports: Option<String>,
}

pub fn read(path: &Path) -> Result<Vec<Model>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|e| format!("{}: {e}", path.display()))?;
    table
        .iter()
        .map(|(name, value)| model(name, value).map_err(|e| format!("models.toml: [{name}]: {e}")))
        .collect()
}

fn model(name: &str, value: &toml::Value) -> Result<Model, String> {
    let table = value.as_table().ok_or("expected a table")?;
    let mut model = Model {
        name: name.to_owned(),
        top: name.to_owned(),
        opt: 1,
        trace: true,
        params: Vec::new(),
        sources: Vec::new(),
        flags: Vec::new(),
        clock: "clk_i".to_owned(),
        reset: "rst_ni".to_owned(),
        ports: None,
    };
    for (key, value) in table {
        let wrong = || format!("{key} = {value:?}: wrong type");
        match key.as_str() {
            "top" => model.top = string(value).ok_or_else(wrong)?,
            "opt" => {
                model.opt = value
                    .as_integer()
                    .and_then(|n| u8::try_from(n).ok())
                    .filter(|n| *n <= 3)
                    .ok_or_else(|| format!("opt = {value:?}: expected 0..3"))?;
            }
            "trace" => model.trace = value.as_bool().ok_or_else(wrong)?,
            "params" => {
                for (name, value) in value.as_table().ok_or_else(wrong)? {
                    let number = value.as_integer().map(|n| n.to_string());
                    let value = number.or_else(|| string(value)).ok_or_else(wrong)?;
                    model.params.push((name.clone(), value));
                }
            }
            "sources" => model.sources = strings(value).ok_or_else(wrong)?,
            "flags" => model.flags = strings(value).ok_or_else(wrong)?,
            "clock" => model.clock = string(value).ok_or_else(wrong)?,
            "reset" => model.reset = string(value).ok_or_else(wrong)?,
            "ports" => model.ports = Some(string(value).ok_or_else(wrong)?),
            _ => {
                return Err(format!(
                    "unknown key '{key}'; the comment in the file lists them"
                ));
            }
        }
    }
    Ok(model)
}

fn string(value: &toml::Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn strings(value: &toml::Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(string).collect()
}

/// The sources in order; `//` starts a comment.
pub fn file_list(path: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let files: Vec<String> = text
        .lines()
        .map(|line| {
            line.split("//")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .filter(|line| !line.is_empty())
        .collect();
    let home = path.parent().unwrap_or(Path::new("."));
    for file in &files {
        if !home.join(file).is_file() {
            return Err(format!(
                "{} lists {file}, which does not exist",
                path.display()
            ));
        }
    }
    Ok(files)
}
