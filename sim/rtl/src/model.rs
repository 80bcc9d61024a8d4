//! Safe wrapper of one verilated model.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The C functions of a model.
pub struct Abi<In, Out> {
    /// Constructs the model; uninitialized state is random by the seed.
    pub new: unsafe extern "C" fn(u64) -> *mut c_void,
    /// Destroys it.
    pub free: unsafe extern "C" fn(*mut c_void),
    /// Clock low, inputs in, logic settled, outputs out. Returns status bits.
    pub settle: unsafe extern "C" fn(*mut c_void, *const In, *mut Out) -> u32,
    /// Rising edge. Returns status bits.
    pub edge: unsafe extern "C" fn(*mut c_void) -> u32,
    /// Starts an FST file; 0 if it cannot.
    pub trace_open: unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int,
    /// Ends the FST file.
    pub trace_close: unsafe extern "C" fn(*mut c_void),
    /// What the model printed since it was made or cleared.
    pub text: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    /// Forgets text and error count.
    pub clear: unsafe extern "C" fn(*mut c_void),
}

impl<In, Out> Clone for Abi<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for Abi<In, Out> {}

/// A verilated top; implemented by the generated modules.
///
/// # Safety
///
/// `ABI` must be the functions of one and the same model, and `In` and `Out` its port structs.
pub unsafe trait Verilated {
    /// Name of the model, as in `models.toml`.
    const NAME: &'static str;
    /// Its C functions.
    const ABI: Abi<Self::In, Self::Out>;
    /// Struct of the input ports.
    type In: Default;
    /// Struct of the output ports.
    type Out: Default;
    /// Drives the reset input, if there is one.
    fn set_reset(inputs: &mut Self::In, asserted: bool);
}

// Status bits; the same list is in cpp/shim.hpp.
const ERROR: u32 = 1;
const TEXT: u32 = 2;
const FINISH: u32 = 4;

/// The RTL itself reported a failure: an assertion, `$error`, `$fatal`, `$stop` or a simulation fault.
#[derive(Debug, Clone, thiserror::Error)]
#[error("RTL of {model} failed in cycle {cycle} (seed {seed}):\n{text}")]
pub struct Failure {
    /// Name of the model.
    pub model: &'static str,
    /// Clock cycle, counted from construction.
    pub cycle: u64,
    /// Seed of the model.
    pub seed: u64,
    /// What it printed, with file, line and name of the assertion.
    pub text: String,
}

/// One instance of a verilated top.
///
/// A clock cycle has two halves. [`settle`](Self::settle): the clock is low, the inputs `i` are applied and
/// the combinational logic settles; `o` then holds the outputs as any register that is connected to the
/// device would sample them at the end of this cycle. [`edge`](Self::edge): the rising edge. A handshake
/// therefore happens in a cycle when after `settle` both its valid and its ready are 1. `o` keeps those
/// sampled values after the edge, until the next `settle`. [`step`](Self::step) is both halves, two
/// evaluations of the model. Inputs may depend on outputs of the same cycle: set some, `settle`, look,
/// set others, `step`.
pub struct Model<T: Verilated> {
    /// Inputs, applied by the next `settle` or `step`. All zero at first, so reset is asserted.
    pub i: T::In,
    /// Outputs as of the last `settle` or `step`.
    pub o: T::Out,
    abi: Abi<T::In, T::Out>,
    name: &'static str,
    handle: *mut c_void,
    seed: u64,
    cycle: u64,
    finished: bool,
}

// SAFETY: a model is used by one thread at a time (`&mut self`), and the shim points the runtime's
// thread-local state at the model on every call.
unsafe impl<T: Verilated> Send for Model<T>
where
    T::In: Send,
    T::Out: Send,
{
}

/// The runtime seeds the random state of uninitialized registers per process, so models must be
/// constructed one after the other to be the same in every run.
static CONSTRUCTION: Mutex<()> = Mutex::new(());

impl<T: Verilated> Model<T> {
    /// A new model in reset, its uninitialized registers random by `seed`.
    pub fn new(seed: u64) -> Self {
        Self::of::<T>(seed)
    }

    /// A new model of another top with the same port structs (`ports` in `models.toml`): the rest of the program need not
    /// know which of them it has.
    pub fn of<V: Verilated<In = T::In, Out = T::Out>>(seed: u64) -> Self {
        let _guard = CONSTRUCTION
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        // SAFETY: `new` has no precondition.
        let handle = unsafe { (V::ABI.new)(seed) };
        let (i, o) = (T::In::default(), T::Out::default());
        let mut model = Self {
            i,
            o,
            abi: V::ABI,
            name: V::NAME,
            handle,
            seed,
            cycle: 0,
            finished: false,
        };
        T::set_reset(&mut model.i, true);
        // The first evaluation draws the rest of the random state. A failure here shows up in the
        // status of the next one.
        // SAFETY: as in `settle`.
        unsafe { (model.abi.settle)(model.handle, &model.i, &mut model.o) };
        model
    }

    /// Applies the inputs with the clock low and reads the outputs.
    pub fn settle(&mut self) -> Result<(), Failure> {
        // SAFETY: the handle lives as long as self; the structs are those of this model.
        let status = unsafe { (self.abi.settle)(self.handle, &self.i, &mut self.o) };
        self.check(status)
    }

    /// Rising clock edge; inputs must have been applied by [`settle`](Self::settle). `o` does not change.
    pub fn edge(&mut self) -> Result<(), Failure> {
        // SAFETY: the handle lives as long as self.
        let status = unsafe { (self.abi.edge)(self.handle) };
        let checked = self.check(status);
        self.cycle += 1;
        checked
    }

    /// One whole clock cycle: `settle`, then `edge`.
    pub fn step(&mut self) -> Result<(), Failure> {
        self.settle()?;
        self.edge()
    }

    /// Asserts or releases the reset input, from the next cycle on.
    pub fn set_reset(&mut self, asserted: bool) {
        T::set_reset(&mut self.i, asserted);
    }

    /// Completed clock cycles since construction.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Seed that the model was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The RTL has called `$finish`.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Starts writing an FST waveform. Time 10 n is the end of the low half of cycle n, 10 n + 5 its
    /// rising edge.
    pub fn trace_open(&mut self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let name = CString::new(path.as_os_str().as_encoded_bytes())?;
        // SAFETY: the handle lives as long as self; the name is a C string.
        if unsafe { (self.abi.trace_open)(self.handle, name.as_ptr()) } == 0 {
            let why = "cannot be opened, or trace = false in sim/rtl/models.toml";
            return Err(std::io::Error::other(format!(
                "waveform {} {why}",
                path.display()
            )));
        }
        Ok(())
    }

    /// Completes the waveform file.
    pub fn trace_close(&mut self) {
        // SAFETY: the handle lives as long as self.
        unsafe { (self.abi.trace_close)(self.handle) }
    }

    /// Slow path: the model printed or failed.
    fn check(&mut self, status: u32) -> Result<(), Failure> {
        if status == 0 {
            return Ok(());
        }
        self.finished = status & FINISH != 0;
        if status & (ERROR | TEXT) == 0 {
            return Ok(());
        }
        // SAFETY: the handle lives as long as self; the text is valid until the next call.
        let text = unsafe { CStr::from_ptr((self.abi.text)(self.handle)) };
        let text = text.to_string_lossy().trim_end().to_owned();
        // SAFETY: the handle lives as long as self.
        unsafe { (self.abi.clear)(self.handle) };
        if status & ERROR == 0 {
            println!("{}: cycle {}: {text}", self.name, self.cycle);
            return Ok(());
        }
        Err(Failure {
            model: self.name,
            cycle: self.cycle,
            seed: self.seed,
            text,
        })
    }
}

impl<T: Verilated> Drop for Model<T> {
    fn drop(&mut self) {
        // SAFETY: the handle came from `new` and is freed once.
        unsafe { (self.abi.free)(self.handle) }
    }
}

/// Where waveforms go: `target/waves/` of the workspace.
pub(crate) fn waves_dir() -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    home.ancestors().nth(2).unwrap_or(home).join("target/waves")
}
