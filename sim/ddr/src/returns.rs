//! The way back through a controller port.
//!
//! A port of the switch (HP) returns data in the order of its requests, whoever asked: HP1 and HP2 wait for each other. That is
//! an inference: on the board their rates never differ by more than 0.5%, whatever their addresses. The interconnect's ports, with
//! the processor behind them, return what comes first.

use std::collections::VecDeque;

use super::PORT_LINE;

#[derive(Debug, Clone, Copy)]
struct Slot {
    source: u8,
    tag: u32,
    /// When its data has passed the memory's data lines; `u64::MAX` until it is served.
    at: u64,
}

/// Reads of a controller port between the arbiter and the way back.
#[derive(Debug, Default)]
pub(super) struct Returns {
    slots: VecDeque<Slot>,
    first: u32,
    free: u64,
}

impl Returns {
    /// Reads under way.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// A read has been let through; its number.
    pub fn asked(&mut self, source: u8, tag: u32) -> u32 {
        let number = self.first.wrapping_add(self.slots.len() as u32);
        self.slots.push_back(Slot {
            source,
            tag,
            at: u64::MAX,
        });
        number
    }

    /// The memory has served it.
    pub fn served(&mut self, number: u32, at: u64) {
        let place = number.wrapping_sub(self.first) as usize;
        if let Some(slot) = self.slots.get_mut(place) {
            slot.at = at;
        }
    }

    /// The same for a port that returns what comes first: who asked, the source's number, when it is through the port.
    pub fn overtake(&mut self, number: u32, at: u64) -> Option<(u8, u32, u64)> {
        let place = number.wrapping_sub(self.first) as usize;
        let slot = self.slots.get_mut(place)?;
        slot.at = at;
        let through = at.max(self.free + PORT_LINE);
        let found = (slot.source, slot.tag, through);
        self.free = through;
        while self.slots.front().is_some_and(|slot| slot.at != u64::MAX) {
            self.slots.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        Some(found)
    }

    /// The next read whose data is on its way: source, the source's number, and when it is through the port.
    pub fn pop(&mut self) -> Option<(u8, u32, u64)> {
        let slot = *self.slots.front().filter(|slot| slot.at != u64::MAX)?;
        self.slots.pop_front();
        self.first = self.first.wrapping_add(1);
        self.free = slot.at.max(self.free + PORT_LINE);
        Some((slot.source, slot.tag, self.free))
    }
}
