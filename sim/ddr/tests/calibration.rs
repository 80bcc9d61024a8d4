//! The DDR4 model against published measurements of the board: `docs/memory.md` has the same table.

use macromac_ddr::calibration::{POINTS, Use};
use macromac_ddr::{DdrRate, QueueConfig};

/// What the model is meant to keep, as a fraction.
const GOAL: f64 = 0.05;
/// What it does not keep it may miss by so much; the page names these points.
const LIMIT: f64 = 0.105;
/// Points beyond the goal, at most.
const BEYOND: usize = 9;

#[test]
fn published_measurements_are_reproduced() {
    let mut beyond = 0;
    for point in POINTS {
        let model = point.model(QueueConfig::FITTED);
        let error = point.error(model);
        println!(
            "{}: {:?} model {model:.2} {:+.1}% {:?}",
            point.what,
            point.measured,
            100.0 * error,
            point.usage
        );
        if point.usage == Use::Disputed {
            continue;
        }
        assert!(
            error.abs() < LIMIT,
            "{}: {:?}, the model says {model:.2}",
            point.what,
            point.measured
        );
        beyond += usize::from(error.abs() > GOAL);
    }
    assert!(beyond <= BEYOND, "{beyond} points are more than 5% off");
    let held_out = POINTS.iter().filter(|point| point.usage == Use::HeldOut);
    assert!(held_out.count() >= 2);
}

/// A parameter that matters must be seen by the calibration: a queue of half the size moves points beyond the limit.
#[test]
fn a_wrong_queue_is_noticed() {
    let queue = QueueConfig {
        read_lines: 16,
        ..QueueConfig::FITTED
    };
    let off = POINTS
        .iter()
        .filter(|point| point.error(point.model(queue)).abs() > LIMIT);
    assert!(off.count() > 3);
}

/// JESD79-4, checked against hand-rounded values.
#[test]
fn timings_are_those_of_the_speed_bins() {
    let t = DdrRate::Mt2133.timings();
    assert_eq!(
        (t.cl, t.cwl, t.rcd, t.rp, t.ras, t.rc),
        (15, 11, 15, 15, 36, 51)
    );
    assert_eq!(
        (t.ccd_s, t.ccd_l, t.rrd_s, t.rrd_l, t.faw),
        (4, 6, 6, 7, 32)
    );
    assert_eq!(
        (t.wr, t.wtr_s, t.wtr_l, t.rtp, t.rfc, t.refi),
        (16, 3, 8, 8, 374, 8320)
    );
    let t = DdrRate::Mt2400.timings();
    assert_eq!((t.cl, t.cwl, t.rcd, t.rp, t.ras), (16, 12, 16, 16, 39));
    assert_eq!(
        (t.ccd_s, t.ccd_l, t.rrd_s, t.rrd_l, t.faw),
        (4, 6, 7, 8, 36)
    );
    assert_eq!(
        (t.wr, t.wtr_s, t.wtr_l, t.rtp, t.rfc, t.refi),
        (18, 3, 9, 9, 420, 9360)
    );
    assert_eq!(DdrRate::Mt2133.peak(), 17_066_666_666);
}
