// Generated from driver/kernel/include/uapi/macromac.h by bindgen; do not edit (tests/uapi.rs says how).

pub const MACROMAC_UAPI_VERSION: u32 = 1;
pub const MACROMAC_PORTS: u32 = 4;
pub const MACROMAC_ALIGN: u32 = 4096;
pub const MACROMAC_MMAP_DOORBELL: u32 = 0;
pub const MACROMAC_MMAP_COMPLETION: u32 = 65536;
pub const MACROMAC_SYNC_FOR_DEVICE: u32 = 1;
pub const MACROMAC_SYNC_FOR_CPU: u32 = 2;
pub const MACROMAC_RANGE_ACTIVATIONS: u32 = 4;
pub const MACROMAC_RANGE_RESULTS: u32 = 5;
pub const MACROMAC_IOC_MAGIC: u32 = 182;
pub type __u8 = ::std::os::raw::c_uchar;
pub type __u16 = ::std::os::raw::c_ushort;
pub type __u32 = ::std::os::raw::c_uint;
pub type __s64 = ::std::os::raw::c_longlong;
pub type __u64 = ::std::os::raw::c_ulonglong;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_completion {
    pub steps_done: __u32,
    pub rows_done: __u32,
    pub status: __u32,
    pub reserved: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_completion"][::std::mem::size_of::<macromac_completion>() - 16usize];
    ["Alignment of macromac_completion"][::std::mem::align_of::<macromac_completion>() - 4usize];
    ["Offset of field: macromac_completion::steps_done"]
        [::std::mem::offset_of!(macromac_completion, steps_done) - 0usize];
    ["Offset of field: macromac_completion::rows_done"]
        [::std::mem::offset_of!(macromac_completion, rows_done) - 4usize];
    ["Offset of field: macromac_completion::status"]
        [::std::mem::offset_of!(macromac_completion, status) - 8usize];
    ["Offset of field: macromac_completion::reserved"]
        [::std::mem::offset_of!(macromac_completion, reserved) - 12usize];
};
pub const MACROMAC_NONCOHERENT: macromac_coherency = 0;
pub const MACROMAC_COHERENT: macromac_coherency = 1;
pub type macromac_coherency = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_query {
    pub size: __u32,
    pub uapi_version: __u32,
    pub device_version: __u32,
    pub config_hash: __u32,
    pub arithmetic: __u32,
    pub ports: __u32,
    pub batch: __u32,
    pub group_size: __u32,
    pub macro_strips: __u32,
    pub fifo_strips: __u32,
    pub max_groups: __u32,
    pub coherency: __u32,
    pub clock_hz: __u64,
    pub step_size: __u32,
    pub max_steps: __u32,
    pub buffer_bytes_left: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_query"][::std::mem::size_of::<macromac_query>() - 72usize];
    ["Alignment of macromac_query"][::std::mem::align_of::<macromac_query>() - 8usize];
    ["Offset of field: macromac_query::size"]
        [::std::mem::offset_of!(macromac_query, size) - 0usize];
    ["Offset of field: macromac_query::uapi_version"]
        [::std::mem::offset_of!(macromac_query, uapi_version) - 4usize];
    ["Offset of field: macromac_query::device_version"]
        [::std::mem::offset_of!(macromac_query, device_version) - 8usize];
    ["Offset of field: macromac_query::config_hash"]
        [::std::mem::offset_of!(macromac_query, config_hash) - 12usize];
    ["Offset of field: macromac_query::arithmetic"]
        [::std::mem::offset_of!(macromac_query, arithmetic) - 16usize];
    ["Offset of field: macromac_query::ports"]
        [::std::mem::offset_of!(macromac_query, ports) - 20usize];
    ["Offset of field: macromac_query::batch"]
        [::std::mem::offset_of!(macromac_query, batch) - 24usize];
    ["Offset of field: macromac_query::group_size"]
        [::std::mem::offset_of!(macromac_query, group_size) - 28usize];
    ["Offset of field: macromac_query::macro_strips"]
        [::std::mem::offset_of!(macromac_query, macro_strips) - 32usize];
    ["Offset of field: macromac_query::fifo_strips"]
        [::std::mem::offset_of!(macromac_query, fifo_strips) - 36usize];
    ["Offset of field: macromac_query::max_groups"]
        [::std::mem::offset_of!(macromac_query, max_groups) - 40usize];
    ["Offset of field: macromac_query::coherency"]
        [::std::mem::offset_of!(macromac_query, coherency) - 44usize];
    ["Offset of field: macromac_query::clock_hz"]
        [::std::mem::offset_of!(macromac_query, clock_hz) - 48usize];
    ["Offset of field: macromac_query::step_size"]
        [::std::mem::offset_of!(macromac_query, step_size) - 56usize];
    ["Offset of field: macromac_query::max_steps"]
        [::std::mem::offset_of!(macromac_query, max_steps) - 60usize];
    ["Offset of field: macromac_query::buffer_bytes_left"]
        [::std::mem::offset_of!(macromac_query, buffer_bytes_left) - 64usize];
};
pub const MACROMAC_WEIGHTS: macromac_usage = 1;
pub const MACROMAC_ACTIVATIONS: macromac_usage = 2;
pub const MACROMAC_RESULTS: macromac_usage = 3;
pub type macromac_usage = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_buffer_create {
    pub size: __u32,
    pub usage: __u32,
    pub bytes: __u64,
    pub handle: __u32,
    pub flags: __u32,
    pub mmap_offset: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_buffer_create"][::std::mem::size_of::<macromac_buffer_create>() - 32usize];
    ["Alignment of macromac_buffer_create"]
        [::std::mem::align_of::<macromac_buffer_create>() - 8usize];
    ["Offset of field: macromac_buffer_create::size"]
        [::std::mem::offset_of!(macromac_buffer_create, size) - 0usize];
    ["Offset of field: macromac_buffer_create::usage"]
        [::std::mem::offset_of!(macromac_buffer_create, usage) - 4usize];
    ["Offset of field: macromac_buffer_create::bytes"]
        [::std::mem::offset_of!(macromac_buffer_create, bytes) - 8usize];
    ["Offset of field: macromac_buffer_create::handle"]
        [::std::mem::offset_of!(macromac_buffer_create, handle) - 16usize];
    ["Offset of field: macromac_buffer_create::flags"]
        [::std::mem::offset_of!(macromac_buffer_create, flags) - 20usize];
    ["Offset of field: macromac_buffer_create::mmap_offset"]
        [::std::mem::offset_of!(macromac_buffer_create, mmap_offset) - 24usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_buffer_free {
    pub size: __u32,
    pub handle: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_buffer_free"][::std::mem::size_of::<macromac_buffer_free>() - 8usize];
    ["Alignment of macromac_buffer_free"][::std::mem::align_of::<macromac_buffer_free>() - 4usize];
    ["Offset of field: macromac_buffer_free::size"]
        [::std::mem::offset_of!(macromac_buffer_free, size) - 0usize];
    ["Offset of field: macromac_buffer_free::handle"]
        [::std::mem::offset_of!(macromac_buffer_free, handle) - 4usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_buffer_sync {
    pub size: __u32,
    pub handle: __u32,
    pub offset: __u64,
    pub bytes: __u64,
    pub direction: __u32,
    pub pad: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_buffer_sync"][::std::mem::size_of::<macromac_buffer_sync>() - 32usize];
    ["Alignment of macromac_buffer_sync"][::std::mem::align_of::<macromac_buffer_sync>() - 8usize];
    ["Offset of field: macromac_buffer_sync::size"]
        [::std::mem::offset_of!(macromac_buffer_sync, size) - 0usize];
    ["Offset of field: macromac_buffer_sync::handle"]
        [::std::mem::offset_of!(macromac_buffer_sync, handle) - 4usize];
    ["Offset of field: macromac_buffer_sync::offset"]
        [::std::mem::offset_of!(macromac_buffer_sync, offset) - 8usize];
    ["Offset of field: macromac_buffer_sync::bytes"]
        [::std::mem::offset_of!(macromac_buffer_sync, bytes) - 16usize];
    ["Offset of field: macromac_buffer_sync::direction"]
        [::std::mem::offset_of!(macromac_buffer_sync, direction) - 24usize];
    ["Offset of field: macromac_buffer_sync::pad"]
        [::std::mem::offset_of!(macromac_buffer_sync, pad) - 28usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_range {
    pub handle: __u32,
    pub pad: __u32,
    pub offset: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_range"][::std::mem::size_of::<macromac_range>() - 16usize];
    ["Alignment of macromac_range"][::std::mem::align_of::<macromac_range>() - 8usize];
    ["Offset of field: macromac_range::handle"]
        [::std::mem::offset_of!(macromac_range, handle) - 0usize];
    ["Offset of field: macromac_range::pad"][::std::mem::offset_of!(macromac_range, pad) - 4usize];
    ["Offset of field: macromac_range::offset"]
        [::std::mem::offset_of!(macromac_range, offset) - 8usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_step {
    pub groups: __u16,
    pub tile_rows: __u16,
    pub report_tile_rows: __u16,
    pub vectors: __u8,
    pub macro_strips: __u8,
    pub weights: [macromac_range; 4usize],
    pub activations: macromac_range,
    pub results: macromac_range,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_step"][::std::mem::size_of::<macromac_step>() - 104usize];
    ["Alignment of macromac_step"][::std::mem::align_of::<macromac_step>() - 8usize];
    ["Offset of field: macromac_step::groups"]
        [::std::mem::offset_of!(macromac_step, groups) - 0usize];
    ["Offset of field: macromac_step::tile_rows"]
        [::std::mem::offset_of!(macromac_step, tile_rows) - 2usize];
    ["Offset of field: macromac_step::report_tile_rows"]
        [::std::mem::offset_of!(macromac_step, report_tile_rows) - 4usize];
    ["Offset of field: macromac_step::vectors"]
        [::std::mem::offset_of!(macromac_step, vectors) - 6usize];
    ["Offset of field: macromac_step::macro_strips"]
        [::std::mem::offset_of!(macromac_step, macro_strips) - 7usize];
    ["Offset of field: macromac_step::weights"]
        [::std::mem::offset_of!(macromac_step, weights) - 8usize];
    ["Offset of field: macromac_step::activations"]
        [::std::mem::offset_of!(macromac_step, activations) - 72usize];
    ["Offset of field: macromac_step::results"]
        [::std::mem::offset_of!(macromac_step, results) - 88usize];
};
pub const MACROMAC_RULE_NONE: macromac_rule = 0;
pub const MACROMAC_RULE_STEPS: macromac_rule = 1;
pub const MACROMAC_RULE_GROUPS: macromac_rule = 2;
pub const MACROMAC_RULE_TILE_ROWS: macromac_rule = 3;
pub const MACROMAC_RULE_VECTORS: macromac_rule = 4;
pub const MACROMAC_RULE_STRIPS: macromac_rule = 5;
pub const MACROMAC_RULE_HANDLE: macromac_rule = 6;
pub const MACROMAC_RULE_USAGE: macromac_rule = 7;
pub const MACROMAC_RULE_ALIGN: macromac_rule = 8;
pub const MACROMAC_RULE_BOUNDS: macromac_rule = 9;
pub const MACROMAC_RULE_PAD: macromac_rule = 10;
pub type macromac_rule = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_program_load {
    pub size: __u32,
    pub step_count: __u32,
    pub steps: __u64,
    pub step_size: __u32,
    pub flags: __u32,
    pub bad_step: __u32,
    pub bad_rule: __u32,
    pub bad_range: __u32,
    pub pad: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_program_load"][::std::mem::size_of::<macromac_program_load>() - 40usize];
    ["Alignment of macromac_program_load"]
        [::std::mem::align_of::<macromac_program_load>() - 8usize];
    ["Offset of field: macromac_program_load::size"]
        [::std::mem::offset_of!(macromac_program_load, size) - 0usize];
    ["Offset of field: macromac_program_load::step_count"]
        [::std::mem::offset_of!(macromac_program_load, step_count) - 4usize];
    ["Offset of field: macromac_program_load::steps"]
        [::std::mem::offset_of!(macromac_program_load, steps) - 8usize];
    ["Offset of field: macromac_program_load::step_size"]
        [::std::mem::offset_of!(macromac_program_load, step_size) - 16usize];
    ["Offset of field: macromac_program_load::flags"]
        [::std::mem::offset_of!(macromac_program_load, flags) - 20usize];
    ["Offset of field: macromac_program_load::bad_step"]
        [::std::mem::offset_of!(macromac_program_load, bad_step) - 24usize];
    ["Offset of field: macromac_program_load::bad_rule"]
        [::std::mem::offset_of!(macromac_program_load, bad_rule) - 28usize];
    ["Offset of field: macromac_program_load::bad_range"]
        [::std::mem::offset_of!(macromac_program_load, bad_range) - 32usize];
    ["Offset of field: macromac_program_load::pad"]
        [::std::mem::offset_of!(macromac_program_load, pad) - 36usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_run {
    pub size: __u32,
    pub steps_ready: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_run"][::std::mem::size_of::<macromac_run>() - 8usize];
    ["Alignment of macromac_run"][::std::mem::align_of::<macromac_run>() - 4usize];
    ["Offset of field: macromac_run::size"][::std::mem::offset_of!(macromac_run, size) - 0usize];
    ["Offset of field: macromac_run::steps_ready"]
        [::std::mem::offset_of!(macromac_run, steps_ready) - 4usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_wait {
    pub size: __u32,
    pub steps: __u32,
    pub rows: __u32,
    pub flags: __u32,
    pub deadline_ns: __s64,
    pub steps_done: __u32,
    pub rows_done: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_wait"][::std::mem::size_of::<macromac_wait>() - 32usize];
    ["Alignment of macromac_wait"][::std::mem::align_of::<macromac_wait>() - 8usize];
    ["Offset of field: macromac_wait::size"][::std::mem::offset_of!(macromac_wait, size) - 0usize];
    ["Offset of field: macromac_wait::steps"]
        [::std::mem::offset_of!(macromac_wait, steps) - 4usize];
    ["Offset of field: macromac_wait::rows"][::std::mem::offset_of!(macromac_wait, rows) - 8usize];
    ["Offset of field: macromac_wait::flags"]
        [::std::mem::offset_of!(macromac_wait, flags) - 12usize];
    ["Offset of field: macromac_wait::deadline_ns"]
        [::std::mem::offset_of!(macromac_wait, deadline_ns) - 16usize];
    ["Offset of field: macromac_wait::steps_done"]
        [::std::mem::offset_of!(macromac_wait, steps_done) - 24usize];
    ["Offset of field: macromac_wait::rows_done"]
        [::std::mem::offset_of!(macromac_wait, rows_done) - 28usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_fault {
    pub size: __u32,
    pub cause: __u32,
    pub port: __u32,
    pub step: __u32,
    pub range: __u32,
    pub nan_in: __u32,
    pub offset: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_fault"][::std::mem::size_of::<macromac_fault>() - 32usize];
    ["Alignment of macromac_fault"][::std::mem::align_of::<macromac_fault>() - 8usize];
    ["Offset of field: macromac_fault::size"]
        [::std::mem::offset_of!(macromac_fault, size) - 0usize];
    ["Offset of field: macromac_fault::cause"]
        [::std::mem::offset_of!(macromac_fault, cause) - 4usize];
    ["Offset of field: macromac_fault::port"]
        [::std::mem::offset_of!(macromac_fault, port) - 8usize];
    ["Offset of field: macromac_fault::step"]
        [::std::mem::offset_of!(macromac_fault, step) - 12usize];
    ["Offset of field: macromac_fault::range"]
        [::std::mem::offset_of!(macromac_fault, range) - 16usize];
    ["Offset of field: macromac_fault::nan_in"]
        [::std::mem::offset_of!(macromac_fault, nan_in) - 20usize];
    ["Offset of field: macromac_fault::offset"]
        [::std::mem::offset_of!(macromac_fault, offset) - 24usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_reset {
    pub size: __u32,
    pub flags: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_reset"][::std::mem::size_of::<macromac_reset>() - 8usize];
    ["Alignment of macromac_reset"][::std::mem::align_of::<macromac_reset>() - 4usize];
    ["Offset of field: macromac_reset::size"]
        [::std::mem::offset_of!(macromac_reset, size) - 0usize];
    ["Offset of field: macromac_reset::flags"]
        [::std::mem::offset_of!(macromac_reset, flags) - 4usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_port_stats {
    pub beats: __u64,
    pub strips: __u64,
    pub no_data: __u64,
    pub no_activations: __u64,
    pub no_room: __u64,
    pub lock_step: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_port_stats"][::std::mem::size_of::<macromac_port_stats>() - 48usize];
    ["Alignment of macromac_port_stats"][::std::mem::align_of::<macromac_port_stats>() - 8usize];
    ["Offset of field: macromac_port_stats::beats"]
        [::std::mem::offset_of!(macromac_port_stats, beats) - 0usize];
    ["Offset of field: macromac_port_stats::strips"]
        [::std::mem::offset_of!(macromac_port_stats, strips) - 8usize];
    ["Offset of field: macromac_port_stats::no_data"]
        [::std::mem::offset_of!(macromac_port_stats, no_data) - 16usize];
    ["Offset of field: macromac_port_stats::no_activations"]
        [::std::mem::offset_of!(macromac_port_stats, no_activations) - 24usize];
    ["Offset of field: macromac_port_stats::no_room"]
        [::std::mem::offset_of!(macromac_port_stats, no_room) - 32usize];
    ["Offset of field: macromac_port_stats::lock_step"]
        [::std::mem::offset_of!(macromac_port_stats, lock_step) - 40usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct macromac_stats {
    pub size: __u32,
    pub interrupts: __u32,
    pub cycles: __u64,
    pub stream_cycles: __u64,
    pub steps: __u64,
    pub port: [macromac_port_stats; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of macromac_stats"][::std::mem::size_of::<macromac_stats>() - 224usize];
    ["Alignment of macromac_stats"][::std::mem::align_of::<macromac_stats>() - 8usize];
    ["Offset of field: macromac_stats::size"]
        [::std::mem::offset_of!(macromac_stats, size) - 0usize];
    ["Offset of field: macromac_stats::interrupts"]
        [::std::mem::offset_of!(macromac_stats, interrupts) - 4usize];
    ["Offset of field: macromac_stats::cycles"]
        [::std::mem::offset_of!(macromac_stats, cycles) - 8usize];
    ["Offset of field: macromac_stats::stream_cycles"]
        [::std::mem::offset_of!(macromac_stats, stream_cycles) - 16usize];
    ["Offset of field: macromac_stats::steps"]
        [::std::mem::offset_of!(macromac_stats, steps) - 24usize];
    ["Offset of field: macromac_stats::port"]
        [::std::mem::offset_of!(macromac_stats, port) - 32usize];
};
pub const MACROMAC_IOCTL_QUERY: macromac_ioctl = 3225990656;
pub const MACROMAC_IOCTL_BUFFER_CREATE: macromac_ioctl = 3223369217;
pub const MACROMAC_IOCTL_BUFFER_FREE: macromac_ioctl = 1074312706;
pub const MACROMAC_IOCTL_BUFFER_SYNC: macromac_ioctl = 1075885571;
pub const MACROMAC_IOCTL_PROGRAM_LOAD: macromac_ioctl = 3223893508;
pub const MACROMAC_IOCTL_RUN: macromac_ioctl = 1074312709;
pub const MACROMAC_IOCTL_WAIT: macromac_ioctl = 3223369222;
pub const MACROMAC_IOCTL_FAULT: macromac_ioctl = 3223369223;
pub const MACROMAC_IOCTL_RESET: macromac_ioctl = 1074312712;
pub const MACROMAC_IOCTL_STATS: macromac_ioctl = 3235952137;
pub type macromac_ioctl = ::std::os::raw::c_uint;
