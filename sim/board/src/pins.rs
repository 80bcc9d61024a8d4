//! The pins of `mm_top` as the slaves and the register master see them. One macro call a port, since Rust cannot join names.

use macromac_rtl::mm_top;

use crate::axi::{
    Address, LiteMasterPins, LiteSlavePins, ReadBeat, ReadMaster, WriteBeat, WriteMaster,
};

/// Outputs of the model.
pub type Out = mm_top::Out;
/// Inputs of the model.
pub type In = mm_top::In;

macro_rules! address {
    ($o:ident, $valid:ident, $addr:ident, $len:ident, $size:ident, $burst:ident, $cache:ident, $prot:ident) => {
        ($o.$valid != 0).then(|| Address {
            address: $o.$addr,
            len: $o.$len,
            size: $o.$size,
            burst: $o.$burst,
            cache: $o.$cache,
            prot: $o.$prot,
        })
    };
}

/// What the device drives on the read channels of a memory port.
#[inline]
pub fn read_master(o: &Out, port: usize) -> ReadMaster {
    match port {
        0 => ReadMaster {
            ar: address!(
                o,
                m_axi_hp0_arvalid,
                m_axi_hp0_araddr,
                m_axi_hp0_arlen,
                m_axi_hp0_arsize,
                m_axi_hp0_arburst,
                m_axi_hp0_arcache,
                m_axi_hp0_arprot
            ),
            r_ready: o.m_axi_hp0_rready != 0,
        },
        1 => ReadMaster {
            ar: address!(
                o,
                m_axi_hp1_arvalid,
                m_axi_hp1_araddr,
                m_axi_hp1_arlen,
                m_axi_hp1_arsize,
                m_axi_hp1_arburst,
                m_axi_hp1_arcache,
                m_axi_hp1_arprot
            ),
            r_ready: o.m_axi_hp1_rready != 0,
        },
        2 => ReadMaster {
            ar: address!(
                o,
                m_axi_hp2_arvalid,
                m_axi_hp2_araddr,
                m_axi_hp2_arlen,
                m_axi_hp2_arsize,
                m_axi_hp2_arburst,
                m_axi_hp2_arcache,
                m_axi_hp2_arprot
            ),
            r_ready: o.m_axi_hp2_rready != 0,
        },
        3 => ReadMaster {
            ar: address!(
                o,
                m_axi_hp3_arvalid,
                m_axi_hp3_araddr,
                m_axi_hp3_arlen,
                m_axi_hp3_arsize,
                m_axi_hp3_arburst,
                m_axi_hp3_arcache,
                m_axi_hp3_arprot
            ),
            r_ready: o.m_axi_hp3_rready != 0,
        },
        _ => ReadMaster {
            ar: address!(
                o,
                m_axi_hpc0_arvalid,
                m_axi_hpc0_araddr,
                m_axi_hpc0_arlen,
                m_axi_hpc0_arsize,
                m_axi_hpc0_arburst,
                m_axi_hpc0_arcache,
                m_axi_hpc0_arprot
            ),
            r_ready: o.m_axi_hpc0_rready != 0,
        },
    }
}

/// Drives the read channels of a memory port. Data without RVALID keeps its old value.
#[inline]
pub fn drive_read(i: &mut In, port: usize, ar_ready: bool, r: Option<ReadBeat>) {
    let ar_ready = u8::from(ar_ready);
    let r_valid = u8::from(r.is_some());
    match port {
        0 => {
            i.m_axi_hp0_arready = ar_ready;
            i.m_axi_hp0_rvalid = r_valid;
            if let Some(r) = r {
                i.m_axi_hp0_rdata = r.data;
                i.m_axi_hp0_rresp = r.response;
                i.m_axi_hp0_rlast = u8::from(r.last);
            }
        }
        1 => {
            i.m_axi_hp1_arready = ar_ready;
            i.m_axi_hp1_rvalid = r_valid;
            if let Some(r) = r {
                i.m_axi_hp1_rdata = r.data;
                i.m_axi_hp1_rresp = r.response;
                i.m_axi_hp1_rlast = u8::from(r.last);
            }
        }
        2 => {
            i.m_axi_hp2_arready = ar_ready;
            i.m_axi_hp2_rvalid = r_valid;
            if let Some(r) = r {
                i.m_axi_hp2_rdata = r.data;
                i.m_axi_hp2_rresp = r.response;
                i.m_axi_hp2_rlast = u8::from(r.last);
            }
        }
        3 => {
            i.m_axi_hp3_arready = ar_ready;
            i.m_axi_hp3_rvalid = r_valid;
            if let Some(r) = r {
                i.m_axi_hp3_rdata = r.data;
                i.m_axi_hp3_rresp = r.response;
                i.m_axi_hp3_rlast = u8::from(r.last);
            }
        }
        _ => {
            i.m_axi_hpc0_arready = ar_ready;
            i.m_axi_hpc0_rvalid = r_valid;
            if let Some(r) = r {
                i.m_axi_hpc0_rdata = r.data;
                i.m_axi_hpc0_rresp = r.response;
                i.m_axi_hpc0_rlast = u8::from(r.last);
            }
        }
    }
}

/// What the device drives on the write channels of the data port.
#[inline]
pub fn write_master(o: &Out) -> WriteMaster {
    WriteMaster {
        aw: address!(
            o,
            m_axi_hpc0_awvalid,
            m_axi_hpc0_awaddr,
            m_axi_hpc0_awlen,
            m_axi_hpc0_awsize,
            m_axi_hpc0_awburst,
            m_axi_hpc0_awcache,
            m_axi_hpc0_awprot
        ),
        w: (o.m_axi_hpc0_wvalid != 0).then_some(WriteBeat {
            data: o.m_axi_hpc0_wdata,
            strobe: o.m_axi_hpc0_wstrb,
            last: o.m_axi_hpc0_wlast != 0,
        }),
        b_ready: o.m_axi_hpc0_bready != 0,
    }
}

/// Drives the write channels of the data port.
#[inline]
pub fn drive_write(i: &mut In, aw_ready: bool, w_ready: bool, b: Option<u8>) {
    i.m_axi_hpc0_awready = u8::from(aw_ready);
    i.m_axi_hpc0_wready = u8::from(w_ready);
    i.m_axi_hpc0_bvalid = u8::from(b.is_some());
    i.m_axi_hpc0_bresp = b.unwrap_or(0);
}

/// What the device drives on the register bus.
#[inline]
pub fn lite_slave(o: &Out) -> LiteSlavePins {
    LiteSlavePins {
        aw_ready: o.s_axil_awready != 0,
        w_ready: o.s_axil_wready != 0,
        b: (o.s_axil_bvalid != 0).then_some(o.s_axil_bresp),
        ar_ready: o.s_axil_arready != 0,
        r: (o.s_axil_rvalid != 0).then_some((o.s_axil_rdata, o.s_axil_rresp)),
    }
}

/// Drives the register bus.
#[inline]
pub fn drive_lite(i: &mut In, pins: &LiteMasterPins) {
    i.s_axil_awvalid = u8::from(pins.aw.is_some());
    i.s_axil_awaddr = pins.aw.unwrap_or(0);
    i.s_axil_wvalid = u8::from(pins.w.is_some());
    i.s_axil_wdata = pins.w.unwrap_or(0);
    i.s_axil_wstrb = 0xF;
    i.s_axil_bready = u8::from(pins.b_ready);
    i.s_axil_arvalid = u8::from(pins.ar.is_some());
    i.s_axil_araddr = pins.ar.unwrap_or(0);
    i.s_axil_rready = u8::from(pins.r_ready);
}

/// Name of a VALID that is high, for the check in reset.
pub fn any_valid(o: &Out) -> Option<&'static str> {
    let valids = [
        (o.m_axi_hp0_arvalid, "m_axi_hp0_arvalid"),
        (o.m_axi_hp1_arvalid, "m_axi_hp1_arvalid"),
        (o.m_axi_hp2_arvalid, "m_axi_hp2_arvalid"),
        (o.m_axi_hp3_arvalid, "m_axi_hp3_arvalid"),
        (o.m_axi_hpc0_arvalid, "m_axi_hpc0_arvalid"),
        (o.m_axi_hpc0_awvalid, "m_axi_hpc0_awvalid"),
        (o.m_axi_hpc0_wvalid, "m_axi_hpc0_wvalid"),
        (o.s_axil_bvalid, "s_axil_bvalid"),
        (o.s_axil_rvalid, "s_axil_rvalid"),
    ];
    valids
        .iter()
        .find(|(valid, _)| *valid != 0)
        .map(|(_, name)| *name)
}
