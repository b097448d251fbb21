use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn id(index: u32) -> WsiId {
    WsiId { index, generation: 0 }
}

/// Takes all that waits for a consumer.
fn drain<T: Copy>(ring: &mut Ring<T>, id: WsiId) -> Vec<T> {
    let mut taken = Vec::new();
    while let Some(element) = ring.peek(id).copied() {
        taken.push(element);
        ring.advance(id);
    }
    taken
}

#[test]
fn a_consumer_hears_what_is_pushed_since_it_joined() {
    let mut ring = Ring::new(8);
    ring.join(id(1));
    assert!(ring.push('a').is_empty());
    ring.join(id(2));
    ring.join(id(1));
    assert!(ring.push('b').is_empty());
    assert_eq!((ring.waiting(id(1)), ring.waiting(id(2)), ring.waiting(id(3))), (2, 1, 0));
    assert_eq!(drain(&mut ring, id(1)), ['a', 'b']);
    assert_eq!(drain(&mut ring, id(2)), ['b']);
    assert_eq!(ring.peek(id(3)), None);
}

#[test]
fn an_element_goes_with_the_last_that_waited_for_it() {
    let mut ring = Ring::new(8);
    let element = Rc::new(());
    assert!(ring.push(element.clone()).is_empty());
    assert_eq!(Rc::strong_count(&element), 1, "nobody has joined");
    ring.join(id(1));
    ring.join(id(2));
    assert!(ring.push(element.clone()).is_empty());
    ring.advance(id(1));
    assert_eq!((Rc::strong_count(&element), ring.len()), (2, 1));
    ring.leave(id(2));
    assert_eq!((Rc::strong_count(&element), ring.is_empty()), (1, true));
    assert_eq!(ring.kept.capacity(), 0);
}

#[test]
fn behind_are_those_who_have_something_still_to_take() {
    let behind = |ring: &Ring<&str>| {
        let mut ids: Vec<u32> = ring.behind().map(|id| id.index).collect();
        ids.sort_unstable();
        (ids, ring.weight())
    };
    let mut ring = Ring::weighing(100, |text: &&str| text.len());
    (0..3).for_each(|n| ring.join(id(n)));
    assert_eq!(behind(&ring), (vec![], 0));
    assert!(ring.push("abc").is_empty());
    assert!(ring.push("de").is_empty());
    assert_eq!(behind(&ring), (vec![0, 1, 2], 5));
    ring.advance(id(1));
    assert_eq!(behind(&ring), (vec![0, 1, 2], 5));
    ring.advance(id(1));
    assert_eq!(behind(&ring), (vec![0, 2], 5));
    ring.leave(id(0));
    ring.advance(id(2));
    assert_eq!(behind(&ring), (vec![2], 2));
}

#[test]
fn nobody_is_culled_while_there_is_room() {
    for capacity in [0, 1, 3] {
        let mut ring = Ring::new(capacity);
        assert_eq!(ring.free(), capacity.max(1));
        (0..2).for_each(|n| ring.join(id(n)));
        while ring.free() > 0 {
            assert!(ring.push(()).is_empty());
        }
        assert_eq!(ring.len(), capacity.max(1));
        ring.advance(id(0));
        assert_eq!(ring.free(), 0, "the other has none of it");
        assert_eq!(ring.push(()), [id(1)]);
    }
    let mut heavy = Ring::weighing(10, |text: &&str| text.len());
    heavy.join(id(0));
    assert!(heavy.push("much too heavy").is_empty());
    assert_eq!(heavy.free(), 0);
    heavy.advance(id(0));
    assert!(heavy.push("abc").is_empty());
    assert_eq!(heavy.free(), 7);
}

#[test]
fn who_falls_behind_is_culled_once_and_nobody_else_is() {
    let mut ring = Ring::new(3);
    (0..4).for_each(|n| ring.join(id(n)));
    for element in 0..3 {
        assert!(ring.push(element).is_empty());
        ring.advance(id(0));
    }
    ring.advance(id(1));
    let mut culled = ring.push(3);
    culled.sort();
    assert_eq!(culled, [id(2), id(3)]);
    assert_eq!((ring.peek(id(2)), ring.waiting(id(2))), (None, 0));
    assert_eq!(drain(&mut ring, id(0)), [3]);
    assert_eq!(ring.push(4), [id(1)]);
    assert_eq!(drain(&mut ring, id(0)), [4]);
    assert!(ring.is_empty());
}

#[test]
fn who_is_up_to_date_is_not_culled_however_heavy_the_element() {
    for (limit, weight) in [(0, 0), (0, 1), (10, usize::MAX)] {
        let mut ring = Ring::weighing(limit, |weight: &usize| *weight);
        ring.join(id(1));
        ring.join(id(2));
        assert!(ring.push(weight).is_empty());
        ring.advance(id(1));
        let culled = ring.push(weight);
        assert_eq!(culled.len(), usize::from(weight > 0), "the second is too much for who has the first still to take");
        ring.leave(id(2));
        assert_eq!(drain(&mut ring, id(1)), [weight]);
        assert_eq!((ring.len(), ring.weight), (0, 0));
    }
}

#[test]
fn a_limit_of_0_is_taken_as_1() {
    let mut ring = Ring::weighing(0, |weight: &usize| *weight);
    assert_eq!(ring.free(), 1, "who waits until there is room does not wait for ever");
    ring.join(id(0));
    assert!(ring.push(1).is_empty());
    assert!(ring.push(0).is_empty());
    assert_eq!(ring.push(1), [id(0)]);
}

#[test]
fn the_backlog_of_one_is_held_for_it_alone() {
    let mut ring = Ring::new(10_000);
    (0..8_000).for_each(|n| ring.join(id(n)));
    for element in 0..100 {
        assert!(ring.push(element).is_empty());
        (1..8_000).for_each(|n| ring.advance(id(n)));
    }
    assert_eq!((ring.len(), ring.up_to_date, ring.waiting(id(0))), (100, 7_999, 100));
    assert_eq!(drain(&mut ring, id(0)), Vec::from_iter(0..100));
    assert!(ring.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Join(u32),
    Leave(u32),
    Push(usize),
    Advance(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0u32..6;
    prop_oneof![
        2 => who.clone().prop_map(Step::Join),
        1 => who.clone().prop_map(Step::Leave),
        5 => (0usize..12).prop_map(Step::Push),
        8 => who.prop_map(Step::Advance),
    ]
}

proptest! {
    /// Against a queue of its own for each consumer, with the weight of an element as its element.
    #[test]
    fn each_sees_all_in_order_or_is_culled(limit in 0usize..40, steps in vec(step(), 0..300)) {
        let mut ring = Ring::weighing(limit, |(weight, _): &(usize, usize)| *weight);
        let limit = limit.max(1);
        let mut model: BTreeMap<WsiId, VecDeque<(usize, usize)>> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Join(who) => {
                    ring.join(id(who));
                    model.entry(id(who)).or_default();
                }
                Step::Leave(who) => {
                    ring.leave(id(who));
                    model.remove(&id(who));
                }
                Step::Push(weight) => {
                    let mut culled = ring.push((weight, number));
                    culled.sort();
                    let backlog = |queue: &VecDeque<(usize, usize)>| queue.iter().map(|(weight, _)| weight).sum::<usize>();
                    let lagging = |queue: &VecDeque<_>| backlog(queue) > 0 && backlog(queue) + weight > limit;
                    let expected: Vec<WsiId> = model.iter().filter(|(_, queue)| lagging(queue)).map(|(id, _)| *id).collect();
                    model.retain(|_, queue| !lagging(queue));
                    prop_assert_eq!(culled, expected);
                    model.values_mut().for_each(|queue| queue.push_back((weight, number)));
                }
                Step::Advance(who) => {
                    ring.advance(id(who));
                    model.get_mut(&id(who)).and_then(VecDeque::pop_front);
                }
            }
            for who in (0..6).map(id) {
                let queue = model.get(&who);
                prop_assert_eq!(ring.peek(who), queue.and_then(VecDeque::front));
                prop_assert_eq!(ring.waiting(who), queue.map_or(0, VecDeque::len));
            }
            let longest = model.values().max_by_key(|queue| queue.len());
            prop_assert_eq!(ring.len(), longest.map_or(0, VecDeque::len));
            prop_assert_eq!(ring.weight, longest.into_iter().flatten().map(|(weight, _)| weight).sum::<usize>());
        }
        for who in (0..6).map(id) {
            let rest = model.remove(&who).unwrap_or_default();
            prop_assert_eq!(drain(&mut ring, who), Vec::from(rest));
        }
        prop_assert!(ring.is_empty());
        prop_assert_eq!((ring.weight, ring.kept.capacity(), ring.tails.len()), (0, 0, ring.up_to_date));
    }
}
