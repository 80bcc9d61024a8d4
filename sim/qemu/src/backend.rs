//! QEMU's side: messages of vfio-user become requests to the device's thread.

use std::fs::File;
use std::io::{self, Error};
use std::path::Path;
use std::sync::mpsc::{Sender, SyncSender, sync_channel};

use anyhow::{Context, Result};
use memmap2::MmapOptions;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_AUTOMASKED, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, vfio_region_info,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};

use crate::guest::Region;
use crate::pci::{self, Config};

/// What the device's thread is asked for, in the order of the messages.
pub enum Request {
    /// A load of so many bytes from BAR 0.
    Load(u64, usize, SyncSender<u64>),
    /// A store of so many bytes to BAR 0; nobody waits for it.
    Store(u64, usize, u64),
    /// Guest memory comes.
    Map(Region),
    /// Guest memory goes; the sender may take it away when it has the answer.
    Unmap(u64, SyncSender<()>),
    /// Where to raise the interrupt.
    Interrupt(Option<File>),
    /// The interrupt is held back, or not any more.
    Mask(bool),
    /// Power-on reset.
    Reset(SyncSender<()>),
}

/// The server's half in QEMU's thread.
struct Backend {
    config: Config,
    requests: Sender<Request>,
}

/// Serves one connection until QEMU closes it.
pub fn serve(socket: &Path, requests: Sender<Request>) -> Result<()> {
    let server = Server::new(socket, true, irqs(), regions())
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    let mut backend = Backend {
        config: Config::new(),
        requests,
    };
    server
        .run(&mut backend)
        .context("the connection to QEMU broke")
}

fn regions() -> Vec<ServerRegion> {
    (0..VFIO_PCI_NUM_REGIONS)
        .map(|index| {
            let size = match index {
                VFIO_PCI_BAR0_REGION_INDEX => pci::BAR_BYTES,
                VFIO_PCI_CONFIG_REGION_INDEX => pci::BYTES as u64,
                _ => 0,
            };
            let flags = match size {
                0 => 0,
                _ => VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
            };
            ServerRegion {
                region_info: vfio_region_info {
                    argsz: size_of::<vfio_region_info>() as u32,
                    index,
                    size,
                    flags,
                    ..Default::default()
                },
                sparse_areas: Vec::new(),
                mmap_fd: None,
            }
        })
        .collect()
}

fn irqs() -> Vec<IrqInfo> {
    (0..VFIO_PCI_NUM_IRQS)
        .map(|index| match index {
            // A level: it is masked when it was raised, until QEMU sees the guest at the registers.
            VFIO_PCI_INTX_IRQ_INDEX => IrqInfo {
                index,
                count: 1,
                flags: VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED,
            },
            _ => IrqInfo {
                index,
                count: 0,
                flags: 0,
            },
        })
        .collect()
}

impl Backend {
    fn send(&self, request: Request) -> io::Result<()> {
        self.requests
            .send(request)
            .map_err(|_| Error::other("the simulation's thread has ended"))
    }

    /// Sends a request and waits for its answer.
    fn ask<T>(&self, request: impl FnOnce(SyncSender<T>) -> Request) -> io::Result<T> {
        let (sender, answer) = sync_channel(1);
        self.send(request(sender))?;
        answer
            .recv()
            .map_err(|_| Error::other("the simulation's thread has ended"))
    }
}

impl ServerBackend for Backend {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => self.config.read(offset, data),
            VFIO_PCI_BAR0_REGION_INDEX if data.len() <= 8 => {
                let value = self.ask(|answer| Request::Load(offset, data.len(), answer))?;
                data.copy_from_slice(&value.to_le_bytes()[..data.len()]);
            }
            _ => data.fill(0xFF),
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => self.config.write(offset, data),
            VFIO_PCI_BAR0_REGION_INDEX if data.len() <= 8 => {
                let mut value = [0; 8];
                value[..data.len()].copy_from_slice(data);
                self.send(Request::Store(
                    offset,
                    data.len(),
                    u64::from_le_bytes(value),
                ))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        _flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        // What has no file is no RAM that could be shared.
        let Some(file) = fd else { return Ok(()) };
        let length = usize::try_from(size).map_err(Error::other)?;
        let map = MmapOptions::new().offset(offset).len(length).map_raw(&file);
        match map {
            Ok(map) => self.send(Request::Map(Region { address, map })),
            // Flash and the like, which cannot be written.
            Err(_) => Ok(()),
        }
    }

    fn dma_unmap(&mut self, _flags: DmaUnmapFlags, address: u64, _size: u64) -> io::Result<()> {
        self.ask(|answer| Request::Unmap(address, answer))
    }

    fn reset(&mut self) -> io::Result<()> {
        self.config = Config::new();
        self.ask(Request::Reset)
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        _start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        if index != VFIO_PCI_INTX_IRQ_INDEX {
            return Ok(());
        }
        if flags & VFIO_IRQ_SET_ACTION_TRIGGER != 0 {
            let eventfd = flags & VFIO_IRQ_SET_DATA_EVENTFD != 0 && count == 1;
            let fd = if eventfd {
                fds.into_iter().next()
            } else {
                None
            };
            return self.send(Request::Interrupt(fd));
        }
        if flags & VFIO_IRQ_SET_ACTION_MASK != 0 {
            self.send(Request::Mask(true))?;
        }
        // With an eventfd it only names one, for a kernel that unmasks by itself.
        if flags & VFIO_IRQ_SET_ACTION_UNMASK != 0 && flags & VFIO_IRQ_SET_DATA_EVENTFD == 0 {
            self.send(Request::Mask(false))?;
        }
        Ok(())
    }
}
