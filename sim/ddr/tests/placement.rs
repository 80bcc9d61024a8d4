//! The distances of four segments that the driver uses are as good as any that the memory model finds.

use macromac_ddr::DdrRate;
use macromac_ddr::placement::{self, PHASES};

#[test]
fn placement_is_within_2_percent_of_the_best() {
    let ranked = placement::search(DdrRate::Mt2133, 300_000_000);
    let (best, worst) = (ranked[0].0, ranked[ranked.len() - 1].0);
    let kib = PHASES.map(|phase| phase as u64 >> 10);
    let ours = ranked.iter().find(|(_, found)| *found == kib);
    let ours = ours.expect("the phases are multiples of 8 KiB").0;
    assert!(
        ours * 100 <= best * 102,
        "{ours} cycles, the best {:?}",
        ranked[0]
    );
    assert!(
        worst * 100 > best * 120,
        "the search tells nothing: {best} to {worst} cycles"
    );
}

#[test]
fn long_segments_reach_most_of_the_peak_when_placed_and_less_when_equal() {
    let share = |phases| placement::share_of_peak(DdrRate::Mt2133, 300_000_000, phases);
    let (placed, equal) = (share(PHASES), share([0; 4]));
    assert!(
        (0.93..0.956).contains(&placed),
        "{placed}: refresh alone takes 4.5%"
    );
    assert!(equal < 0.85, "{equal}");
}
