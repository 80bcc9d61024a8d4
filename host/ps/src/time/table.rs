//! The committed table of cycles: written by `make ps-table`, read by the model.

use serde::{Deserialize, Serialize};

/// Cycles of every loop and where they come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The command that writes it.
    pub generated_by: String,
    /// Compiler of the assembly.
    pub compiler: String,
    /// Analyser of the loops.
    pub analyser: String,
    /// The loops.
    pub loops: Vec<Row>,
}

/// One loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name that the model knows it by.
    pub name: String,
    /// What an element is.
    pub element: String,
    /// FNV-1a of the loop's instructions.
    pub hash: String,
    /// Instructions of a pass.
    pub instructions: usize,
    /// Elements of a pass.
    pub elements: f64,
    /// Cycles of a pass.
    pub cycles: f64,
    /// `cycles / elements`: what is charged.
    pub cycles_per_element: f64,
    /// Cycles of a pass by the model of the A53's successor, for comparison.
    pub cycles_on_a55: f64,
    /// Cycles of a pass of the loop around it, besides one pass of it: what it costs to begin and end. 0 where that is not charged.
    pub around: f64,
    /// The same by the successor's model.
    pub around_on_a55: f64,
}

impl Table {
    /// The committed one.
    pub fn committed() -> Self {
        serde_json::from_str(include_str!("table.json")).expect("the committed table is valid")
    }

    fn row(&self, name: &str) -> &Row {
        let row = self.loops.iter().find(|r| r.name == name);
        row.unwrap_or_else(|| panic!("the PS time table has no loop {name}; run make ps-table"))
    }

    /// Cycles an element of a loop, on the A53 or by its successor's model.
    ///
    /// # Panics
    /// If the table has no such loop: `make ps-table` was not run after the loop was named.
    pub fn cycles(&self, name: &str, successor: bool) -> f64 {
        let row = self.row(name);
        if successor {
            row.cycles_on_a55 / row.elements
        } else {
            row.cycles_per_element
        }
    }

    /// Cycles of beginning and ending a loop once.
    ///
    /// # Panics
    /// As [`Table::cycles`].
    pub fn around(&self, name: &str, successor: bool) -> f64 {
        let row = self.row(name);
        if successor {
            row.around_on_a55
        } else {
            row.around
        }
    }
}
