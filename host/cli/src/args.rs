//! Commands and their options; names as in llama.cpp where it has the same thing.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use macromac_driver::Profile;
use macromac_format::{Head, Packing};
use macromac_infer::kernels::cache::CacheType;
use macromac_infer::kernels::time::Profile as PsProfile;
use macromac_infer::{Format, Sampling};

/// Runs Qwen2 models on the MacroMac accelerator: simulated, bit-exact reference, or plain CPU.
#[derive(Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write a model image or an AutoAWQ checkpoint of a Hugging Face checkpoint: quantized here, or as AutoAWQ did it
    #[command(visible_alias = "quantize")]
    Pack(PackArgs),
    /// Continue a text
    Run(RunArgs),
    /// Talk with a model
    Chat(crate::chat::ChatArgs),
    /// Answer requests over HTTP, as llama.cpp's server and OpenAI's clients have them
    Serve(crate::serve::ServeArgs),
    /// Print the logits that follow token ids
    Logits(LogitsArgs),
    /// Write a full-size checkpoint with random weights, to exercise everything without the real ones
    SynthCheckpoint(SynthArgs),
    /// Print the token ids of a text
    Tokenize(TokenizeArgs),
    /// Measure tokens a second on the simulated board
    Bench(crate::bench::BenchArgs),
    /// Measure how well a model predicts a text
    Perplexity(crate::perplexity::PerplexityArgs),
    /// Measure how well a model answers the questions of a task
    #[command(subcommand)]
    Eval(crate::eval::Task),
    /// Check the accelerator behind the kernel module, without a model
    Doctor(crate::doctor::DoctorArgs),
    /// Print the bytes of a model by part, in each layout
    Size(crate::size::SizeArgs),
    /// Compare the output matrix in INT4, INT8 and FP16: bytes, DDR traffic of a token, perplexity
    Heads(crate::heads::HeadsArgs),
    /// Compute the score of the paper's Equation 1 from ratios
    Score(crate::score::ScoreArgs),
}

/// Where matrix products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The accelerator's bit-exact reference
    Golden,
    /// The accelerator's RTL, simulated cycle by cycle
    Rtl,
    /// The accelerator itself, by the kernel module's device file
    Device,
    /// FP32 on this machine
    Cpu,
}

/// Arithmetic of the accelerator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// FP32 processing elements, 200 MHz: the accelerator as the paper describes it
    Paper,
    /// Exact group sums, several vectors a pass, 300 MHz
    Kv260,
}

/// Profile where the command line names none: the one place to change it.
pub const DEFAULT_PROFILE: ProfileArg = ProfileArg::Kv260;

impl From<ProfileArg> for Profile {
    fn from(arg: ProfileArg) -> Profile {
        match arg {
            ProfileArg::Paper => Profile::Paper,
            ProfileArg::Kv260 => Profile::Kv260,
        }
    }
}

/// How the simulated board's memory behaves. It changes cycles, never results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Memory {
    /// Fixed latency, no gaps: what the accelerator itself costs
    Ideal,
    /// Latency of a lightly loaded board, a pause now and then
    Typical,
    /// Each port slow in a way of its own
    Random,
    /// The board's DDR4, bank by bank, calibrated on published measurements (docs/memory.md)
    Ddr4,
}

/// Data rate of the board's DDR4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ddr {
    /// 2133 MT/s, 17.07 GB/s: what the stock firmware probably sets
    #[value(name = "2133")]
    Mt2133,
    /// 2400 MT/s, 19.2 GB/s
    #[value(name = "2400")]
    Mt2400,
}

/// Models of the time that the board's processor takes (docs/ps.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PsTimeArg {
    /// Loops of the compiled kernels by LLVM's model of the Cortex-A53
    Derived,
    /// The same by the model of its successor, the A55
    Successor,
    /// Table I of the paper
    Paper,
    /// Nothing
    Off,
}

impl PsTimeArg {
    /// The cost model; `None` charges nothing.
    pub fn profile(self) -> Option<PsProfile> {
        match self {
            PsTimeArg::Derived => Some(PsProfile::Derived),
            PsTimeArg::Successor => Some(PsProfile::Successor),
            PsTimeArg::Paper => Some(PsProfile::Paper),
            PsTimeArg::Off => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Json {
    /// One JSON object
    Json,
}

/// Where the output matrix is computed, and in which precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeadArg {
    /// In the accelerator, as the other matrices
    Int4,
    /// In the accelerator, as INT4 with its inputs given twice: twice the bytes, a sixteenth of the step
    Int8,
    /// On the board's processor, from FP16 weights
    Fp16,
}

impl From<HeadArg> for Head {
    fn from(arg: HeadArg) -> Head {
        match arg {
            HeadArg::Int4 => Head::Int4,
            HeadArg::Int8 => Head::Int8,
            HeadArg::Fp16 => Head::Fp16,
        }
    }
}

/// What `pack` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// A model image, for this program and the accelerator
    Image,
    /// An AutoAWQ GEMM checkpoint (safetensors), for this program and others
    Autoawq,
}

impl From<FormatArg> for Format {
    fn from(arg: FormatArg) -> Format {
        match arg {
            FormatArg::Image => Format::Image,
            FormatArg::Autoawq => Format::AutoAwq,
        }
    }
}

/// How weights are quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Activation-aware: scales and ranges are searched with a calibration text
    Awq,
    /// Each weight to the nearest step
    Rtn,
}

/// Format version of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VersionArg {
    /// 4.5 bits a weight; every profile reads it
    #[value(name = "1")]
    Single,
    /// 4.3125 bits a weight, the same results; for profile kv260
    #[value(name = "2")]
    Quad,
}

impl From<VersionArg> for Packing {
    fn from(arg: VersionArg) -> Packing {
        match arg {
            VersionArg::Single => Packing::Single,
            VersionArg::Quad => Packing::Quad,
        }
    }
}

/// How the layers are quantized.
#[derive(clap::Args)]
pub struct QuantizerArgs {
    /// How weights in full precision are quantized [default: awq if --calib is given, else rtn]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub method: Option<Method>,
    /// Calibration text for awq, UTF-8
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,
    /// Take no more than N tokens of the calibration text, in windows spread evenly over it [default: all]
    #[arg(long, value_name = "N", requires = "calib")]
    pub calib_tokens: Option<usize>,
    /// Inputs that share a scale and a zero; 128 must divide the inputs of every matrix. An AutoAWQ
    /// checkpoint has its own [default: 64]
    #[arg(long, value_name = "N", value_parser = ["64", "128"])]
    pub group_size: Option<String>,
}

impl QuantizerArgs {
    /// The group size as a number.
    pub fn group_size(&self) -> Option<usize> {
        self.group_size.as_deref().and_then(|n| n.parse().ok())
    }
}

#[derive(clap::Args)]
pub struct PackArgs {
    /// Folder with config.json, *.safetensors and tokenizer.json
    pub checkpoint: PathBuf,
    /// Folder to write; an older one that this program wrote in the same format is replaced
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// What to write
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "image")]
    pub format: FormatArg,
    #[command(flatten)]
    pub quantizer: QuantizerArgs,
    /// Where the output matrix is computed [default: fp16 for or as an AutoAWQ checkpoint, else int4]
    #[arg(long, value_enum, value_name = "HEAD")]
    pub head: Option<HeadArg>,
    /// Format version of the image
    #[arg(long, value_enum, value_name = "VERSION", default_value = "1")]
    pub format_version: VersionArg,
    /// Threads [default: all cores]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

#[derive(clap::Args)]
pub struct SynthArgs {
    /// Model whose shape and tokenizer to take: qwen2.5-0.5b (494 million weights in BF16, 988 MB), which the program
    /// carries along, or a folder with config.json and, where there are, tokenizer files
    #[arg(long, value_name = "MODEL")]
    pub config: PathBuf,
    /// Checkpoint folder to write; must be empty or not exist
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Seed of the weights
    #[arg(short, long, default_value_t = 0)]
    pub seed: u64,
    /// Threads; the weights do not depend on it [default: all cores]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Which model, computed how.
#[cfg_attr(not(feature = "rtl"), allow(dead_code))]
#[derive(Clone, clap::Args)]
pub struct ModelArgs {
    /// Checkpoint folder or image folder [default: the built-in demonstration model]
    #[arg(short, long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Where matrix products are computed
    #[arg(long, value_enum, default_value = "golden")]
    pub backend: Backend,
    /// Arithmetic of the accelerator (golden and rtl; device must have it)
    #[arg(long, value_enum, default_value_t = DEFAULT_PROFILE)]
    pub profile: ProfileArg,
    /// Clock of the accelerator, MHz (rtl) [default: 300, profile paper 200]
    #[arg(long, value_name = "MHZ", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clock: Option<u32>,
    /// Device file (device)
    #[arg(long, value_name = "FILE", default_value = "/dev/macromac0")]
    pub device: PathBuf,
    /// Seconds that a step may take besides 50 times its unstalled stream (device); a simulated device needs minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub patience: f64,
    /// Memory of the simulated board (rtl)
    #[arg(long, value_enum, default_value = "ddr4")]
    pub memory: Memory,
    /// Data rate of --memory ddr4, in MT/s (rtl)
    #[arg(long, value_enum, default_value = "2133", value_name = "RATE")]
    pub ddr: Ddr,
    /// Seed of the memory's pauses (rtl)
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub memory_seed: u64,
    /// Number format of the key-value cache: f32, f16 or q8_0 [default: f16, and f32 for cpu]
    #[arg(long, value_name = "TYPE")]
    pub cache_type: Option<CacheType>,
    /// What the board's processor is charged for its part (rtl). It changes cycles, never results
    #[arg(long, value_enum, value_name = "MODEL", default_value = "derived")]
    pub ps_time: PsTimeArg,
    /// Factor on what it is charged (rtl)
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    pub ps_factor: f64,
    /// Threads; results do not depend on it [default: all cores]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

#[cfg_attr(not(feature = "rtl"), allow(dead_code))]
impl ModelArgs {
    /// Clock of the accelerator, Hz: as given, or the profile's.
    pub fn clock_hz(&self) -> u64 {
        clock_hz(self.clock, self.profile.into())
    }

    /// What the PS is charged by, for people to read; `None` if it is not.
    pub fn ps_model(&self) -> Option<String> {
        let value = self.ps_time.to_possible_value();
        let name = value.expect("no model is hidden").get_name().to_owned();
        match (self.ps_time, self.ps_factor) {
            (PsTimeArg::Off, _) => None,
            (_, 1.0) => Some(name),
            (_, factor) => Some(format!("{name} x {factor}")),
        }
    }
}

/// A clock that was given in MHz, or the profile's, Hz.
pub fn clock_hz(mhz: Option<u32>, profile: Profile) -> u64 {
    mhz.map_or(profile.clock_hz(), |mhz| u64::from(mhz) * 1_000_000)
}

/// How tokens are chosen.
#[derive(Clone, clap::Args)]
pub struct SamplingArgs {
    /// Temperature; 0 always takes the most probable token
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub temp: f32,
    /// Draw from the K most probable tokens only; 0: from all
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub top_k: usize,
    /// Draw from the most probable tokens that together reach probability P; 1: from all
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub top_p: f32,
    /// Draw from tokens at least P times as probable as the most probable one; 0: from all
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub min_p: f32,
    /// Make tokens that were there before less probable; 1: off
    #[arg(
        long,
        value_name = "R",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub repeat_penalty: f32,
}

impl SamplingArgs {
    /// The same for inference.
    pub fn with_seed(&self, seed: u64) -> Sampling {
        Sampling {
            temperature: self.temp,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            seed,
        }
    }
}

#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Text to continue
    #[arg(short, long, value_name = "TEXT")]
    pub prompt: String,
    /// Tokens at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128)]
    pub predict: usize,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// Seed of the draws
    #[arg(short, long, default_value_t = 0)]
    pub seed: u64,
    /// Let the text so far propose up to N tokens, verified in one pass; greedy only, the text stays the same; 0: off
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub lookup: usize,
    /// Go on past the end-of-text token
    #[arg(long)]
    pub ignore_eos: bool,
    /// Write when everything happened, for ui.perfetto.dev (rtl)
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Print one JSON object instead of the text
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Json>,
}

#[derive(clap::Args)]
pub struct LogitsArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Token ids, separated by commas
    #[arg(long, value_delimiter = ',', required = true, num_args = 1.., value_name = "IDS")]
    pub tokens: Vec<u32>,
    /// Logits after every token, not only after the last
    #[arg(long)]
    pub all: bool,
    /// Format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "json")]
    pub output: Json,
}

#[derive(clap::Args)]
pub struct TokenizeArgs {
    /// Checkpoint folder or image folder [default: the built-in demonstration model]
    #[arg(short, long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Text to encode
    #[arg(short, long, value_name = "TEXT")]
    pub prompt: String,
}
