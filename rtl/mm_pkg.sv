// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Constants and records that the system blocks share: what docs/architecture.md fixes, and nothing else.

package mm_pkg;

  // ---- fixed by the formats and by the board, so not parameters ----

  localparam int unsigned PORTS          = 4;    // weight ports = units
  localparam int unsigned ADDR_BITS      = 40;   // DMA address
  localparam int unsigned STRIP_BITS     = 128;  // one beat of any DMA port
  localparam int unsigned STRIP_BYTES    = STRIP_BITS / 8;
  localparam int unsigned MACRO_STRIPS   = 18;   // format 1: scales, zeros, 16 of weights
  localparam int unsigned TIGHT_STRIPS   = 17;   // format 2: four macros share a strip of zeros, which comes first
  localparam int unsigned HEADER_STRIPS  = 2;    // scales, zeros: these take no activations
  localparam int unsigned GROUP_SIZE     = 64;   // input channels
  localparam int unsigned PAPER          = 0;    // Arithmetic: FP32 PEs, one vector a pass, format 1
  localparam int unsigned KV260          = 1;    // Arithmetic: exact group sums, Batch vectors a pass, formats 1 and 2
  localparam int unsigned MAX_BATCH      = 16;   // activation vectors a pass, at most
  localparam int unsigned VECTOR_BITS    = 5;    // holds 1..MAX_BATCH
  localparam int unsigned ACT_BEATS      = GROUP_SIZE * 4 / STRIP_BYTES;  // beats of a group of activations
  localparam int unsigned TILE_ROW_BEATS = PORTS * 8 * 4 / STRIP_BYTES;   // beats of a tile row of results
  localparam int unsigned DESC_BEATS     = 4;
  localparam int unsigned DESC_VERSION   = 1;
  localparam int unsigned PAGE_BITS      = 12;   // 4 KiB: alignment of buffers, limit of a burst

  // 65535 tile rows x 65535 groups x 18 strips would need 37 bits; groups is at most 8192 (checked in mm_core).
  localparam int unsigned BEATS_BITS     = 34;

  typedef logic [ADDR_BITS-1:0]           addr_t;
  typedef logic [ADDR_BITS-PAGE_BITS-1:0] page_t;   // address of a 4 KiB aligned buffer
  typedef logic [BEATS_BITS-1:0]          beats_t;  // length of a segment
  typedef logic [VECTOR_BITS-1:0]         vectors_t;
  typedef logic [19:0]                    rows_count_t;  // 65535 tile rows x 16 vectors
  typedef logic [17:0]                    slices_t;      // 8192 groups x 16 vectors

  // ---- faults (architecture.md, section 6) ----

  typedef enum logic [7:0] {
    CauseNone       = 8'd0,
    CauseBusRead    = 8'd1,
    CauseBusWrite   = 8'd2,
    CauseDescriptor = 8'd3,
    CauseReserved   = 8'd4,
    CauseWatchdog   = 8'd5
  } cause_e;

  localparam logic [3:0] PORT_DATA = 4'd4;

  // ---- what is left of a descriptor once its segments are with the readers ----

  typedef struct packed {
    page_t       activations;
    page_t       results;
    logic [15:0] groups;
    logic [15:0] tile_rows;
    logic [15:0] report_rows;  // in tile rows; 0: only at the end
    vectors_t    vectors;      // activation vectors of the pass, 1..Batch
    logic        tight;        // weights in format 2
    slices_t     slices;       // groups * vectors: slices of 64 activations to load
    rows_count_t result_rows;  // tile_rows * vectors: rows of 128 bytes of results
    logic        irq;
  } step_t;

  // ---- what the response to a burst of results tells ----

  typedef struct packed {
    logic [2:0] rows;    // tile rows that are in memory for all vectors with the burst, 0..4
    logic       report;  // write a completion record about it
    logic       last;    // the step is in memory with it
    logic       irq;     // the step asks for the interrupt at its end
  } rows_t;

  // ---- bundles between the pins of mm_top and the blocks: req is what the master drives, rsp what the slave drives ----

  typedef struct packed {
    logic [12:0] awaddr;
    logic [2:0]  awprot;
    logic        awvalid;
    logic [31:0] wdata;
    logic [3:0]  wstrb;
    logic        wvalid;
    logic        bready;
    logic [12:0] araddr;
    logic [2:0]  arprot;
    logic        arvalid;
    logic        rready;
  } axil_req_t;

  typedef struct packed {
    logic        awready;
    logic        wready;
    logic [1:0]  bresp;
    logic        bvalid;
    logic        arready;
    logic [31:0] rdata;
    logic [1:0]  rresp;
    logic        rvalid;
  } axil_rsp_t;

  typedef struct packed {
    addr_t      araddr;
    logic [7:0] arlen;
    logic       arvalid;
    logic       rready;
  } axi_rd_req_t;

  typedef struct packed {
    logic                  arready;
    logic                  rvalid;
    logic                  rlast;
    logic [1:0]            rresp;
    logic [STRIP_BITS-1:0] rdata;
  } axi_rd_rsp_t;

  typedef struct packed {
    addr_t                 awaddr;
    logic [7:0]            awlen;
    logic                  awvalid;
    logic                  wlast;
    logic                  wvalid;
    logic                  bready;
    logic [STRIP_BITS-1:0] wdata;
  } axi_wr_req_t;

  typedef struct packed {
    logic       awready;
    logic       wready;
    logic       bvalid;
    logic [1:0] bresp;
  } axi_wr_rsp_t;

  typedef struct packed {
    logic [3:0] cache;  // AxCACHE
    logic [2:0] prot;   // AxPROT
  } axi_attr_t;

  // ---- counters of a weight port (architecture.md, section 7) ----

  typedef struct packed {
    logic [63:0] beats;
    logic [63:0] strips;
    logic [63:0] no_data;
    logic [63:0] no_activations;
    logic [63:0] no_room;
    logic [63:0] lock_step;
  } port_counts_t;

  // FNV-1a (32 bit) over a list of little-endian 32-bit words; the parameters of this hardware in the
  // order of architecture.md section 2.
  function automatic logic [31:0] fnv1a_word(logic [31:0] hash, logic [31:0] word);
    logic [31:0] h;
    h = hash;
    for (int i = 0; i < 4; i++) begin
      h = (h ^ {24'd0, word[8*i+:8]}) * 32'h01000193;
    end
    return h;
  endfunction

  function automatic logic [31:0] config_hash(int unsigned arithmetic, int unsigned batch,
                                              int unsigned fifo_strips, int unsigned max_groups,
                                              int unsigned burst_beats, int unsigned max_outstanding,
                                              int unsigned max_lead);
    logic [31:0] h;
    h = 32'h811C9DC5;
    h = fnv1a_word(h, PORTS);
    h = fnv1a_word(h, arithmetic);
    h = fnv1a_word(h, batch);
    h = fnv1a_word(h, GROUP_SIZE);
    h = fnv1a_word(h, MACRO_STRIPS);
    h = fnv1a_word(h, fifo_strips);
    h = fnv1a_word(h, max_groups);
    h = fnv1a_word(h, ADDR_BITS);
    h = fnv1a_word(h, burst_beats);
    h = fnv1a_word(h, max_outstanding);
    h = fnv1a_word(h, max_lead);
    return h;
  endfunction

endpackage
