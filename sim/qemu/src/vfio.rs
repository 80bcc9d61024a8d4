//! The device's side of vfio-user: requests in the order of QEMU's messages, the interrupt as an event.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvError, TryRecvError};
use std::time::Instant;

use macromac_driver::DriverError;

use crate::backend::Request;
use crate::device::Device;
use crate::front::{Attended, Front};
use crate::report::Transport;

/// One connection of QEMU.
pub struct Vfio {
    inbox: Receiver<Request>,
    line: Line,
}

/// The interrupt towards QEMU: a level, carried by an event that masks itself.
#[derive(Default)]
struct Line {
    event: Option<File>,
    masked: bool,
    raised: u64,
}

impl Line {
    fn follow(&mut self, level: bool) {
        // An eventfd that nobody reads any more is no error of the device.
        let Some(event) = &mut self.event else { return };
        if level && !self.masked {
            if event.write_all(&1u64.to_ne_bytes()).is_ok() {
                self.masked = true;
                self.raised += 1;
            }
        } else if !level && self.masked {
            // A wire would have fallen with the level. What QEMU has not seen yet is taken back: it would reach a driver that
            // has just switched the interrupt off, and that nothing makes touch a register again. What QEMU has seen, the
            // access that made the level fall has acknowledged.
            if event.read_exact(&mut [0; 8]).is_ok() {
                self.masked = false;
                self.raised -= 1;
            }
        }
    }
}

impl Vfio {
    /// Serves what comes through the channel, until its senders are gone.
    pub fn new(inbox: Receiver<Request>) -> Self {
        Self {
            inbox,
            line: Line::default(),
        }
    }

    fn handle(&mut self, device: &mut Device, request: Request) -> Result<(), DriverError> {
        match request {
            Request::Load(offset, bytes, answer) => {
                let begun = Instant::now();
                let value = device.load(offset, bytes);
                // Before the guest goes on: it may rely on a line that has fallen.
                self.line.follow(device.irq());
                // QEMU may be gone already.
                let _ = answer.send(*value.as_ref().unwrap_or(&u64::MAX));
                device.note_load(begun.elapsed());
                value.map(drop)
            }
            Request::Store(offset, bytes, value) => device.store(offset, bytes, value),
            Request::Map(region) => {
                device.memory().map(region);
                Ok(())
            }
            Request::Unmap(address, answer) => {
                device.memory().unmap(address);
                let _ = answer.send(());
                Ok(())
            }
            Request::Interrupt(event) => {
                self.line.event = event;
                self.line.masked = false;
                Ok(())
            }
            Request::Mask(masked) => {
                self.line.masked = masked;
                Ok(())
            }
            Request::Reset(answer) => {
                let result = device.power_on_reset();
                let _ = answer.send(());
                result
            }
        }
    }
}

impl Front for Vfio {
    fn transport(&self) -> Transport {
        Transport::VfioUser
    }

    fn attend(&mut self, device: &mut Device) -> Result<Attended, DriverError> {
        // With nothing to simulate, waiting costs nothing.
        let request = if device.awake() {
            self.inbox.try_recv()
        } else {
            self.inbox
                .recv()
                .map_err(|RecvError| TryRecvError::Disconnected)
        };
        match request {
            Ok(request) => self.handle(device, request).map(|()| Attended::Something),
            Err(TryRecvError::Empty) => Ok(Attended::Nothing),
            Err(TryRecvError::Disconnected) => Ok(Attended::Gone),
        }
    }

    fn show(&mut self, device: &mut Device) -> Result<(), DriverError> {
        self.line.follow(device.irq());
        Ok(())
    }

    fn interrupts(&self) -> u64 {
        self.line.raised
    }
}
