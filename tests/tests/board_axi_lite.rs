//! The board's register master by itself: a scripted slave breaks every rule once and must be caught.

mod board_support;

use board_support::expect;
use macromac_board::axi::{LiteMaster, LiteRequest, LiteSlavePins};
use macromac_board::{Checked, Rule};

/// Plays a slave that answers an access with `script(cycle)`.
fn lite(
    request: LiteRequest,
    script: impl Fn(u64) -> LiteSlavePins,
) -> Checked<Option<(u64, u32)>> {
    let mut master = LiteMaster::default();
    master.set_hold(2);
    master.start(request, 0);
    for cycle in 0..2000 {
        if let Some(value) = master.cycle(script(cycle), cycle)? {
            return Ok(Some((cycle, value)));
        }
    }
    Ok(None)
}

#[test]
fn every_rule_of_the_register_bus_is_checked() {
    let idle = LiteSlavePins {
        aw_ready: true,
        w_ready: true,
        ar_ready: true,
        ..Default::default()
    };
    let (read, write) = (LiteRequest::Read(4), LiteRequest::Write(4, 1));
    // Good: the answer waits until the master takes it, two cycles after it came.
    let answer = |at| {
        move |cycle| LiteSlavePins {
            r: (cycle >= at).then_some((7, 0)),
            ..idle
        }
    };
    assert_eq!(lite(read, answer(3)).unwrap(), Some((5, 7)));
    let written = |cycle| LiteSlavePins {
        b: (cycle >= 3).then_some(0),
        ..idle
    };
    assert_eq!(lite(write, written).unwrap(), Some((5, 0)));

    expect(lite(read, answer(0)), Rule::UnaskedResponse);
    expect(lite(write, answer(3)), Rule::UnaskedResponse);
    expect(lite(read, written), Rule::UnaskedResponse);
    let early = |cycle| LiteSlavePins {
        w_ready: false,
        ..written(cycle)
    };
    expect(lite(write, early), Rule::UnaskedResponse);
    let drop = |cycle| LiteSlavePins {
        r: (cycle == 3).then_some((7, 0)),
        ..idle
    };
    expect(lite(read, drop), Rule::ValidDropped);
    let change = |cycle: u64| LiteSlavePins {
        r: (cycle >= 3).then_some((cycle as u32, 0)),
        ..idle
    };
    expect(lite(read, change), Rule::PayloadChanged);
    let error = |cycle| LiteSlavePins {
        r: (cycle >= 3).then_some((0, 2)),
        ..idle
    };
    expect(lite(read, error), Rule::RegisterResponse);
    expect(lite(read, |_| idle), Rule::NoAnswer);
    expect(lite(write, |_| LiteSlavePins::default()), Rule::NoAnswer);
    // Nobody asked.
    let mut master = LiteMaster::default();
    expect(
        master.cycle(LiteSlavePins { b: Some(0), ..idle }, 9),
        Rule::UnaskedResponse,
    );
}
