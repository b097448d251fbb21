use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { start: Duration::from_secs(30), drain: Duration::from_secs(10) };

/// The machine, and what its last event led to.
struct Machine {
    generations: Generations,
    now: Instant,
    actions: Vec<Action>,
}

impl Machine {
    fn new() -> Machine {
        Machine { generations: Generations::new(LIMITS), now: Instant::now(), actions: Vec::new() }
    }

    /// One where generation 1 serves with so many workers.
    fn serving(workers: usize) -> (Machine, Vec<WorkerId>) {
        let mut machine = Machine::new();
        let ids = machine.begins(1, workers);
        machine.all_ready(&ids);
        machine.on(Event::Listening(1));
        assert_eq!(machine.generations.serving(), Some(1));
        (machine, ids)
    }

    fn on(&mut self, event: Event) -> &[Action] {
        self.actions = self.generations.on(self.now, event);
        &self.actions
    }

    fn begins(&mut self, generation: Generation, workers: usize) -> Vec<WorkerId> {
        self.on(Event::Begin { generation, workers });
        let ids = self.spawned();
        assert_eq!(ids.len(), workers);
        ids
    }

    fn spawned(&self) -> Vec<WorkerId> {
        let spawned = |action: &Action| if let Action::Spawn { worker, .. } = action { Some(*worker) } else { None };
        self.actions.iter().filter_map(spawned).collect()
    }

    fn all_ready(&mut self, ids: &[WorkerId]) {
        for id in ids {
            self.on(Event::Ready(*id));
        }
    }

    fn ends(&mut self, worker: WorkerId) -> &[Action] {
        self.on(Event::Ended { worker, how: "exit code 1".to_owned() })
    }

    /// The wait before another one takes the place of a worker that ends.
    fn wait_after(&mut self, worker: WorkerId) -> Duration {
        match self.ends(worker) {
            [Action::Schedule { after, timer: Timer::Restart { .. } }] => *after,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_listens_before_all_are_ready_and_nobody_serves_before_it_listens() {
    let mut machine = Machine::new();
    let ids = machine.begins(1, 3);
    assert_eq!(machine.on(Event::Ready(ids[2])), []);
    assert_eq!(machine.on(Event::Ready(ids[0])), []);
    assert_eq!(machine.on(Event::Ready(ids[1])), [Action::Listen(1)]);
    let serve = ids.iter().map(|id| Action::tell(*id, Word::Serve));
    let expected: Vec<Action> = [Action::Settle(1)].into_iter().chain(serve).collect();
    assert_eq!(machine.on(Event::Listening(1)), expected);
}

#[test]
fn the_former_generation_drains_when_the_new_one_serves() {
    let (mut machine, old) = Machine::serving(1);
    let new = machine.begins(2, 2);
    machine.all_ready(&new);
    let actions = machine.on(Event::Listening(2)).to_vec();
    assert_eq!(actions[0], Action::Settle(2));
    assert!(actions.contains(&Action::tell(old[0], Word::Drain)));
    assert_eq!(machine.generations.finishing(), 1);
    assert!(machine.generations.lives(1));
    assert_eq!(machine.ends(old[0]), []);
    assert!(!machine.generations.lives(1));
}

#[test]
fn a_worker_that_ends_hangs_or_cannot_listen_while_starting_makes_its_configuration_a_bad_one() {
    type Fault = fn(&[WorkerId]) -> Event;
    let faults: [Fault; 4] = [
        |ids| Event::Ended { worker: ids[0], how: "exit code 1".to_owned() },
        |ids| Event::Due(Timer::Start(ids[0])),
        |_| Event::CannotListen { generation: 2, why: "taken".to_owned() },
        // It has said that it is ready twice.
        |ids| Event::Ended { worker: ids[1], how: "killed".to_owned() },
    ];
    for fault in faults {
        let (mut machine, old) = Machine::serving(1);
        let new = machine.begins(2, 2);
        machine.on(Event::Ready(new[1]));
        let actions = machine.on(fault(&new)).to_vec();
        assert!(matches!(actions.last(), Some(Action::Refuse { generation: 2, .. })), "{actions:?}");
        assert!(
            actions[..actions.len() - 1].iter().all(|action| matches!(action, Action::Kill(id) if new.contains(id)))
        );
        assert_eq!((machine.generations.serving(), machine.generations.starting()), (Some(1), None));
        // Their ends are nobody's concern any more, and the old one is as it was.
        for id in new {
            assert_eq!(machine.ends(id), []);
        }
        assert_eq!(machine.wait_after(old[0]), Duration::ZERO);
        let third = machine.begins(3, 1);
        assert_eq!(machine.on(Event::Ready(third[0])), [Action::Listen(3)]);
    }
}

#[test]
fn a_first_generation_that_does_not_start_is_the_end() {
    let mut machine = Machine::new();
    let ids = machine.begins(1, 2);
    let actions = machine.ends(ids[1]).to_vec();
    assert_eq!(actions[0], Action::Kill(ids[0]));
    assert!(matches!(&actions[1], Action::Exit(Err(why)) if why.contains("exit code 1")), "{actions:?}");
}

#[test]
fn a_worker_that_serves_is_replaced_even_while_another_generation_starts() {
    let (mut machine, old) = Machine::serving(2);
    let new = machine.begins(2, 1);
    assert_eq!(machine.wait_after(old[1]), Duration::ZERO);
    machine.on(Event::Due(Timer::Restart { generation: 1, number: 1 }));
    let again = machine.spawned();
    assert_eq!(machine.on(Event::Ready(again[0])), [Action::tell(again[0], Word::Serve)]);
    // And one that is still preparing when it is not needed any more has accepted nothing.
    machine.ends(old[0]);
    machine.on(Event::Due(Timer::Restart { generation: 1, number: 0 }));
    let late = machine.spawned();
    machine.all_ready(&new);
    let actions = machine.on(Event::Listening(2)).to_vec();
    assert!(actions.contains(&Action::Kill(late[0])) && actions.contains(&Action::tell(again[0], Word::Drain)));
    assert_eq!(machine.ends(late[0]), []);
    assert_eq!(machine.on(Event::Due(Timer::Restart { generation: 1, number: 0 })), []);
}

#[test]
fn a_worker_in_the_place_of_another_that_hangs_is_killed_and_replaced() {
    let (mut machine, ids) = Machine::serving(1);
    machine.ends(ids[0]);
    machine.on(Event::Due(Timer::Restart { generation: 1, number: 0 }));
    let again = machine.spawned();
    assert_eq!(machine.on(Event::Due(Timer::Start(again[0]))), [Action::Kill(again[0])]);
    assert_eq!(machine.wait_after(again[0]), Duration::from_secs(1));
}

#[test]
fn each_place_waits_for_itself_and_a_long_life_is_a_new_beginning() {
    let (mut machine, ids) = Machine::serving(2);
    let mut first = ids[0];
    for wait in [0, 1, 2, 5, 10, 30, 30] {
        assert_eq!(machine.wait_after(first), Duration::from_secs(wait));
        machine.on(Event::Due(Timer::Restart { generation: 1, number: 0 }));
        first = machine.spawned()[0];
    }
    assert_eq!(machine.wait_after(ids[1]), Duration::ZERO, "it is another place");
    machine.now += STABLE_AFTER + Duration::from_secs(1);
    assert_eq!(machine.wait_after(first), Duration::ZERO);
}

#[test]
fn a_generation_that_is_superseded_ends_without_a_word() {
    let (mut machine, _) = Machine::serving(1);
    let second = machine.begins(2, 2);
    machine.on(Event::Ready(second[0]));
    assert_eq!(machine.on(Event::Abandon), [Action::Kill(second[0]), Action::Kill(second[1])]);
    let third = machine.begins(3, 1);
    // What the killed ones had said before comes too late.
    assert_eq!(machine.on(Event::Ready(second[1])), []);
    assert_eq!(machine.ends(second[0]), []);
    assert_eq!(machine.on(Event::Due(Timer::Start(second[1]))), []);
    assert_eq!(machine.on(Event::Listening(2)), []);
    assert_eq!(machine.on(Event::Ready(third[0])), [Action::Listen(3)]);
}

#[test]
fn who_says_ready_twice_or_is_lost_is_killed_and_replaced() {
    let (mut machine, ids) = Machine::serving(2);
    assert_eq!(machine.on(Event::Ready(ids[0])), [Action::Kill(ids[0])]);
    assert_eq!(machine.wait_after(ids[0]), Duration::ZERO);
    let lost = Action::Schedule { after: LOST_GRACE, timer: Timer::Lost(ids[1]) };
    assert_eq!(machine.on(Event::Lost(ids[1])), [lost]);
    assert_eq!(machine.on(Event::Due(Timer::Lost(ids[1]))), [Action::Kill(ids[1])]);
    assert_eq!(machine.wait_after(ids[1]), Duration::ZERO);
    assert_eq!(machine.on(Event::Due(Timer::Lost(ids[1]))), [], "it has ended");
}

#[test]
fn the_end_drains_who_serves_kills_who_prepares_and_is_bounded() {
    let (mut machine, old) = Machine::serving(1);
    let new = machine.begins(2, 1);
    let actions = machine.on(Event::Stop).to_vec();
    assert_eq!(actions[..2], [Action::tell(old[0], Word::Stop(10)), Action::Kill(new[0])]);
    assert!(matches!(actions[2], Action::Schedule { timer: Timer::Stop, .. }));
    assert_eq!(machine.on(Event::Stop), [], "once is enough");
    assert_eq!(machine.on(Event::Begin { generation: 3, workers: 1 }), []);
    assert_eq!(machine.on(Event::Due(Timer::Stop)), [Action::Kill(old[0]), Action::Kill(new[0])]);
    assert_eq!(machine.ends(old[0]), []);
    assert_eq!(machine.ends(new[0]), [Action::Exit(Ok(()))]);
    assert_eq!(Machine::new().on(Event::Stop), [Action::Exit(Ok(()))]);
}

/// An order of events, by numbers that choose among what can happen.
fn drive(choices: &[(u8, u8)]) {
    let mut machine = Machine::new();
    let (mut newest, mut pending): (Generation, Vec<Timer>) = (0, Vec::new());
    let (mut alive, mut listens): (Vec<(WorkerId, Generation)>, Option<Generation>) = (Vec::new(), None);
    for (what, which) in choices {
        let one = alive.get(usize::from(*which) % alive.len().max(1)).map(|(id, _)| *id);
        let event = match (what % 9, one) {
            (0, _) if machine.generations.starting().is_none() => {
                newest += 1;
                Event::Begin { generation: newest, workers: 1 + usize::from(which % 3) }
            }
            (1, _) => Event::Abandon,
            (2 | 3 | 8, Some(id)) => Event::Ready(id),
            (4, Some(worker)) => Event::Ended { worker, how: "killed".to_owned() },
            (5, Some(id)) => Event::Lost(id),
            (6, Some(id)) => Event::Misbehaves(id),
            (7, _) if !pending.is_empty() => Event::Due(pending.swap_remove(usize::from(*which) % pending.len())),
            _ => continue,
        };
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            if let Event::Ended { worker, .. } = &event {
                alive.retain(|(id, _)| id != worker);
            }
            for action in machine.on(event).to_vec() {
                match action {
                    Action::Spawn { worker, generation, .. } => alive.push((worker, generation)),
                    Action::Schedule { timer, .. } => pending.push(timer),
                    Action::Listen(generation) => {
                        assert_eq!(machine.generations.starting(), Some(generation));
                        listens = Some(generation);
                        events.push(Event::Listening(generation));
                    }
                    Action::Tell { worker, word: Word::Serve } => {
                        let (_, generation) = alive.iter().find(|(id, _)| *id == worker).expect("it lives");
                        assert_eq!((Some(*generation), listens), (machine.generations.serving(), Some(*generation)));
                    }
                    Action::Tell { worker, .. } => assert!(alive.iter().any(|(id, _)| *id == worker)),
                    Action::Kill(worker) => {
                        assert!(alive.iter().any(|(id, _)| *id == worker), "it lives");
                        events.push(Event::Ended { worker, how: "killed".to_owned() });
                    }
                    Action::Refuse { .. } => assert!(machine.generations.serving().is_some()),
                    Action::Exit(_) => assert!(machine.generations.serving().is_none()),
                    Action::Settle(generation) => assert_eq!(machine.generations.serving(), Some(generation)),
                }
            }
        }
        // Nobody is forgotten: who is missing in the serving generation is to be replaced, and who prepares is bounded.
        if let Some(serving) = machine.generations.serving() {
            let there = alive.iter().filter(|(_, generation)| *generation == serving).count();
            let restart = |timer: &&Timer| matches!(timer, Timer::Restart { generation, .. } if *generation == serving);
            assert!(there + pending.iter().filter(restart).count() >= machine.generations.sizes[&serving]);
        }
        let Machine { generations, .. } = &machine;
        for (id, worker) in generations.workers.iter().filter(|(_, worker)| worker.state == State::Preparing) {
            assert!(pending.contains(&Timer::Start(*id)), "{id} of {} is bounded", worker.generation);
        }
    }
    // However it came here, it ends.
    let mut actions = machine.on(Event::Stop).to_vec();
    for (worker, _) in alive {
        actions = machine.on(Event::Ended { worker, how: String::new() }).to_vec();
    }
    assert!(actions.contains(&Action::Exit(Ok(()))), "{actions:?}");
}

proptest! {
    #[test]
    fn in_every_order_of_events_nobody_is_forgotten(choices in prop::collection::vec((any::<u8>(), any::<u8>()), 0..200)) {
        drive(&choices);
    }
}
