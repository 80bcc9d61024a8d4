//! What the DDR4 standard asks of the board's devices, in memory clocks.
//!
//! Source of every value: JEDEC JESD79-4, the tables "Speed Bins" and "Timing Parameters by Speed Grade" for 2133 and 2400, for
//! devices of 8 Gb with 16 data lines and rows (pages) of 2 KB, of which the KV260 has four. Read and write latency are those of
//! the bins 2133P and 2400R with the first set of write latencies. None of them is fitted.

/// Data rate of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DdrRate {
    /// 2133 MT/s, 17.07 GB/s: what the board's clocks speak for.
    #[default]
    Mt2133,
    /// 2400 MT/s, 19.2 GB/s: what the devices allow.
    Mt2400,
}

impl DdrRate {
    /// Memory clock in Hertz, as a fraction.
    pub const fn clock(self) -> (u64, u64) {
        match self {
            DdrRate::Mt2133 => (3_200_000_000, 3),
            DdrRate::Mt2400 => (1_200_000_000, 1),
        }
    }

    /// Most bytes a second: 16 a memory clock.
    pub const fn peak(self) -> u64 {
        let (hz, per) = self.clock();
        hz * 16 / per
    }

    /// Memory clocks that cover so many picoseconds.
    pub const fn clocks(self, ps: u64) -> u64 {
        let (hz, per) = self.clock();
        (ps * (hz / 1_000_000)).div_ceil(per * 1_000_000)
    }

    /// A time in picoseconds, but at least so many clocks: how the standard states most parameters.
    const fn at_least(self, clocks: u64, ps: u64) -> u64 {
        let by_time = self.clocks(ps);
        if by_time > clocks { by_time } else { clocks }
    }

    /// The timing parameters.
    pub const fn timings(self) -> Timings {
        let (cl, cwl, trcd_ps, ras_ps, faw_clocks, ccd_l_ps) = match self {
            DdrRate::Mt2133 => (15, 11, 14_060, 33_000, 28, 5_355),
            DdrRate::Mt2400 => (16, 12, 13_320, 32_000, 28, 5_000),
        };
        let (rcd, ras) = (self.clocks(trcd_ps), self.clocks(ras_ps));
        Timings {
            cl,
            cwl,
            rcd,
            rp: rcd,
            ras,
            rc: ras + rcd,
            ccd_s: 4,
            ccd_l: self.at_least(5, ccd_l_ps),
            rrd_s: self.at_least(4, 5_300),
            rrd_l: self.at_least(4, 6_400),
            faw: self.at_least(faw_clocks, 30_000),
            wr: self.clocks(15_000),
            wtr_s: self.at_least(2, 2_500),
            wtr_l: self.at_least(4, 7_500),
            rtp: self.at_least(4, 7_500),
            rfc: self.clocks(350_000),
            refi: self.clocks(7_800_000),
        }
    }
}

/// Timing parameters in memory clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// CL: read command to its first word.
    pub cl: u64,
    /// CWL: write command to its first word.
    pub cwl: u64,
    /// tRCD: activate to read or write.
    pub rcd: u64,
    /// tRP: precharge to activate.
    pub rp: u64,
    /// tRAS: activate to precharge.
    pub ras: u64,
    /// tRC: activate to activate of one bank.
    pub rc: u64,
    /// tCCD_S: read to read or write to write, other bank group.
    pub ccd_s: u64,
    /// tCCD_L: the same within a bank group.
    pub ccd_l: u64,
    /// tRRD_S: activate to activate, other bank group.
    pub rrd_s: u64,
    /// tRRD_L: the same within a bank group.
    pub rrd_l: u64,
    /// tFAW: in which at most four rows are activated.
    pub faw: u64,
    /// tWR: last word written to precharge.
    pub wr: u64,
    /// tWTR_S: last word written to read, other bank group.
    pub wtr_s: u64,
    /// tWTR_L: the same within a bank group.
    pub wtr_l: u64,
    /// tRTP: read to precharge.
    pub rtp: u64,
    /// tRFC1: refresh to activate.
    pub rfc: u64,
    /// tREFI: average time between refreshes, up to 85 degrees.
    pub refi: u64,
}

/// Clocks that a burst of eight words holds the data lines.
pub const BURST: u64 = 4;
/// Clocks that the data lines rest when they turn from read to write.
pub const TURN: u64 = 2;

impl Timings {
    /// Read command to write command.
    pub const fn read_to_write(&self) -> u64 {
        self.cl + BURST + TURN - self.cwl
    }

    /// Write command to read command.
    pub const fn write_to_read(&self, same_group: bool) -> u64 {
        self.cwl + BURST + if same_group { self.wtr_l } else { self.wtr_s }
    }
}
