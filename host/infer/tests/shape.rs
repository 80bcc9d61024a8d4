//! A model of a shape alone asks of a device what the model with its weights asks, call for call.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use macromac_driver::{Accelerator, Counters, DriverError, PassShape, Profile, Results, Ticket};
use macromac_format::Head;
use macromac_infer::kernels::time::{Coherency, Profile as PsProfile, PsTime};
use macromac_infer::{
    Checkpoint, Model, PackOptions, Session, Source, cpu::pass_shapes, pack_with,
};

/// Gives zeros and keeps what it was asked.
struct Asked {
    passes: Vec<PassShape>,
    calls: Vec<String>,
    tickets: u64,
}

impl Asked {
    fn note(&mut self, call: String) {
        self.calls.push(call);
    }
}

impl Accelerator for Asked {
    fn profile(&self) -> Option<Profile> {
        Some(Profile::Kv260)
    }

    fn batch(&self) -> usize {
        8
    }

    fn passes(&self) -> &[PassShape] {
        &self.passes
    }

    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        self.note(format!("program {program:?} {vectors}"));
        Ok(())
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        self.note(format!("submit {}", x.len()));
        self.tickets += 1;
        Ok(Ticket::new(self.tickets))
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        self.note(format!("wait {ticket:?} {rows}"));
        Ok(rows)
    }

    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError> {
        self.note(format!("read {ticket:?} {rows:?}"));
        Ok(Results::zeros(&rows))
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        self.note(format!("elapse {ps:?} {bytes}"));
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        Ok(())
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        Ok(None)
    }
}

fn calls(mut model: Model, passes: &[PassShape]) -> Vec<String> {
    model.settings.ps_time = Some(PsTime::new(PsProfile::Derived, Coherency::Coherent));
    let mut device = Asked {
        passes: passes.to_vec(),
        calls: Vec::new(),
        tickets: 0,
    };
    let mut session = Session::new(&model, &mut device);
    session.pretend(7);
    session.feed_batch(&[1; 21]).unwrap();
    session.logits_after(2).unwrap();
    session.logits_after(3).unwrap();
    session.settle().unwrap();
    device.calls
}

#[test]
fn a_shape_makes_the_calls_of_its_weights() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/tiny-a/fp");
    let checkpoint = Checkpoint::open(&tiny).unwrap();
    for head in [Head::Int4, Head::Int8, Head::Fp16] {
        let dir = tempfile::tempdir().unwrap();
        let options = PackOptions {
            head: Some(head),
            ..PackOptions::default()
        };
        pack_with(&checkpoint, dir.path(), &options, |_| {}).unwrap();
        let source = Arc::new(Source::open(dir.path()).unwrap());
        let passes = pass_shapes(&source);
        let shape = Model::of_shape(source.architecture().clone(), head);
        let with = calls(Model::load(source).unwrap(), &passes);
        assert!(with.len() > 150, "{} calls", with.len());
        assert_eq!(with, calls(shape, &passes), "{head:?}");
    }
}
