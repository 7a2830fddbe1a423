//! Whether a history of operations could have happened one after the other.

use alloc::{collections::BTreeSet, vec, vec::Vec};
use core::iter;

/// What the operations act on, one at a time.
///
/// A key of a store is a model of its own: a history over many keys is linearizable exactly when that of each key is
/// (Herlihy, Wing 1990), and many short searches cost less than a long one.
pub trait Model {
    /// Everything that later operations depend on. Small: the search keeps one for each step that it tried.
    type State: Clone + Ord;
    /// What is asked.
    type Input;
    /// What is answered.
    type Output: PartialEq;

    /// Before the first operation.
    fn initial() -> Self::State;

    /// What `input` does to `state`, and what it answers.
    fn step(state: &Self::State, input: &Self::Input) -> (Self::State, Self::Output);

    /// Whether `input` changes no state whatever. Such an operation is never tried in two places: as soon as its answer is
    /// right, it may as well be now. False by default, which costs time only.
    fn is_read(input: &Self::Input) -> bool {
        let _ = input;
        false
    }
}

/// One operation of a history, as its caller saw it.
///
/// Times are any numbers that grow with time; an operation is over before another one starts when its `returned` is less
/// than the other's `invoked`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<I, O> {
    /// When it was asked for.
    pub invoked: u64,
    /// When the answer came, and which. `None`: nobody knows, so that it may have taken effect at any time since, may
    /// yet do so, or never will.
    pub returned: Option<(u64, O)>,
    /// What was asked.
    pub input: I,
}

/// What [`check`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The history is linearizable.
    Linearizable {
        /// The operations in an order that explains all answers; those missing never took effect.
        order: Vec<usize>,
    },
    /// It is not.
    Violated {
        /// The longest order that explains the answers in it.
        longest: Vec<usize>,
        /// An operation that had returned, and that no order found a place for after that one.
        stuck: usize,
    },
    /// The search tried as many steps as it was allowed.
    Undecided,
}

/// Searches for an order of the operations that respects their times and explains their answers.
///
/// The algorithm is that of Wing and Gong (1993) with the memory of Lowe (2017): a set of operations that took effect
/// together with the state they led to is not tried twice. The worst case is exponential in the number of operations that
/// overlap; `max_steps` bounds the steps tried, and so time and memory. Operations of which nobody knows are tried in the
/// order of the slice: a caller who can guess when they took effect puts them in that order.
///
/// ```
/// use inos_quorum::sim::linear::{Model, Operation, Verdict, check};
///
/// /// Writes answer 0, reads the last value written.
/// struct Register;
/// enum Ask {
///     Write(u64),
///     Read,
/// }
/// impl Model for Register {
///     type State = u64;
///     type Input = Ask;
///     type Output = u64;
///     fn initial() -> u64 {
///         0
///     }
///     fn step(state: &u64, input: &Ask) -> (u64, u64) {
///         match *input {
///             Ask::Write(value) => (value, 0),
///             Ask::Read => (*state, *state),
///         }
///     }
/// }
///
/// let history = |read| {
///     [
///         Operation { invoked: 1, returned: Some((2, 0)), input: Ask::Write(7) },
///         Operation { invoked: 3, returned: Some((4, read)), input: Ask::Read },
///     ]
/// };
/// assert_eq!(check::<Register>(&history(7), 100), Verdict::Linearizable { order: vec![0, 1] });
/// assert_eq!(check::<Register>(&history(0), 100), Verdict::Violated { longest: vec![0], stuck: 1 });
/// ```
#[must_use]
pub fn check<M: Model>(history: &[Operation<M::Input, M::Output>], max_steps: usize) -> Verdict {
    let unknown = history.iter().filter(|operation| operation.returned.is_none()).count();
    let mut steps_left = max_steps.min(50 * history.len());
    // When the caller's guess is good, one look is enough.
    match Search::<M>::new(history, unknown).run(&mut steps_left) {
        Verdict::Undecided => {}
        verdict => return verdict,
    }
    steps_left = max_steps;
    // Operations of which nobody knows could be anywhere, in any order. Few of them in a row explain most histories, so
    // that is tried next; only the last round, which allows all, may say that there is no order.
    let mut row = 1.min(unknown);
    loop {
        match Search::<M>::new(history, row).run(&mut steps_left) {
            Verdict::Violated { .. } if row < unknown => row = unknown.min(2 * row),
            verdict => return verdict,
        }
    }
}

/// A place in the list of calls and returns that are still to be explained.
#[derive(Clone, Copy)]
struct Place {
    event: Event,
    previous: usize,
    next: usize,
}

#[derive(Clone, Copy)]
enum Event {
    /// The list's two ends.
    End,
    Call(usize),
    Return(usize),
}

/// What is tried next.
#[derive(Clone, Copy)]
enum Next {
    /// The operation called at this place of the list, if it returned and is a read.
    Read(usize),
    /// The operation called at this place of the list, if it returned.
    Known(usize),
    /// This one of those that never returned, if it was called before that place.
    Unknown { at: usize, before: usize },
}

struct Search<'a, M: Model> {
    history: &'a [Operation<M::Input, M::Output>],
    /// A doubly linked list; the first place is the front end, the second the back end.
    places: Vec<Place>,
    call_at: Vec<usize>,
    return_at: Vec<Option<usize>>,
    /// Operations that never returned.
    unknown: Vec<usize>,
    /// Operations that have returned and no place in the order yet.
    due: usize,
    taken: Vec<u64>,
    state: M::State,
    /// The order so far, with the state and the row before each.
    order: Vec<(usize, M::State, usize)>,
    /// How many unknown operations stand at the end of the order, and how many may.
    row: usize,
    max_row: usize,
    tried: BTreeSet<(M::State, Vec<u64>)>,
}

const FRONT: usize = 0;
const BACK: usize = 1;

impl<'a, M: Model> Search<'a, M> {
    fn new(history: &'a [Operation<M::Input, M::Output>], max_row: usize) -> Self {
        // At one time calls come before returns: two operations that touch overlap.
        let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * history.len());
        for (index, operation) in history.iter().enumerate() {
            events.push((operation.invoked, false, index));
            if let Some((at, _)) = operation.returned {
                // An answer before the question is taken as one in the same moment.
                events.push((at.max(operation.invoked), true, index));
            }
        }
        events.sort_unstable();
        let end = Place { event: Event::End, previous: FRONT, next: BACK };
        let mut places = vec![end, end];
        let mut call_at = vec![0; history.len()];
        let mut return_at = vec![None; history.len()];
        for (_, returns, index) in events {
            let place = places.len();
            let previous = places[BACK].previous;
            if returns {
                return_at[index] = Some(place);
            } else {
                call_at[index] = place;
            }
            let event = if returns { Event::Return(index) } else { Event::Call(index) };
            places.push(Place { event, previous, next: BACK });
            places[previous].next = place;
            places[BACK].previous = place;
        }
        Self {
            history,
            places,
            due: return_at.iter().flatten().count(),
            unknown: (0..history.len()).filter(|&index| return_at[index].is_none()).collect(),
            call_at,
            return_at,
            taken: vec![0; history.len().div_ceil(64)],
            state: M::initial(),
            order: Vec::new(),
            row: 0,
            max_row,
            tried: BTreeSet::new(),
        }
    }

    fn run(mut self, steps_left: &mut usize) -> Verdict {
        let mut longest: (Vec<usize>, usize) = (Vec::new(), 0);
        // At each step reads are tried first, then others that returned, in the order of their calls, then the rest.
        let mut next = Next::Read(self.places[FRONT].next);
        while self.due > 0 {
            let index = match next {
                Next::Read(place) => match self.places[place].event {
                    Event::Call(index) => {
                        next = Next::Read(self.places[place].next);
                        if self.return_at[index].is_none() || !M::is_read(&self.history[index].input) {
                            continue;
                        }
                        index
                    }
                    Event::Return(_) | Event::End => {
                        next = Next::Known(self.places[FRONT].next);
                        continue;
                    }
                },
                Next::Known(place) => match self.places[place].event {
                    Event::Call(index) => {
                        next = Next::Known(self.places[place].next);
                        if self.return_at[index].is_none() || M::is_read(&self.history[index].input) {
                            continue;
                        }
                        index
                    }
                    // The back end is not reached while a return is before it.
                    Event::Return(_) | Event::End => {
                        next = Next::Unknown { at: 0, before: place };
                        continue;
                    }
                },
                Next::Unknown { at, before } => match self.unknown.get(at) {
                    Some(&index) if self.row < self.max_row => {
                        next = Next::Unknown { at: at + 1, before };
                        // A later place is a later time.
                        if self.is_taken(index) || self.call_at[index] > before {
                            continue;
                        }
                        index
                    }
                    _ => {
                        // Nothing that could have come before this answer explains it: the last choice was wrong.
                        if let Event::Return(index) = self.places[before].event
                            && self.order.len() >= longest.0.len()
                        {
                            longest = (self.order.iter().map(|&(index, ..)| index).collect(), index);
                        }
                        // To have taken a read was not wrong.
                        let history = self.history;
                        let changes = |&index: &usize| !M::is_read(&history[index].input);
                        let choice = iter::from_fn(|| self.give_back()).find(changes);
                        let Some(index) = choice else {
                            let (longest, stuck) = longest;
                            return Verdict::Violated { longest, stuck };
                        };
                        next = self.after(index);
                        continue;
                    }
                },
            };
            let Some(left) = steps_left.checked_sub(1) else { return Verdict::Undecided };
            *steps_left = left;
            if self.take(index) {
                next = Next::Read(self.places[FRONT].next);
            }
        }
        Verdict::Linearizable { order: self.order.into_iter().map(|(index, ..)| index).collect() }
    }

    /// What is tried after `index`, which was given back.
    fn after(&self, index: usize) -> Next {
        match self.unknown.binary_search(&index) {
            Err(_) => Next::Known(self.places[self.call_at[index]].next),
            Ok(at) => {
                let mut before = self.places[FRONT].next;
                while let Event::Call(_) = self.places[before].event {
                    before = self.places[before].next;
                }
                Next::Unknown { at: at + 1, before }
            }
        }
    }

    fn is_taken(&self, index: usize) -> bool {
        self.taken[index / 64] >> (index % 64) & 1 == 1
    }

    /// Lets the operation be the next one; false when its answer contradicts, or when that has been tried.
    fn take(&mut self, index: usize) -> bool {
        let operation = &self.history[index];
        let (state, output) = M::step(&self.state, &operation.input);
        if operation.returned.as_ref().is_some_and(|(_, seen)| *seen != output) {
            return false;
        }
        self.taken[index / 64] |= 1 << (index % 64);
        if !self.tried.insert((state.clone(), self.taken.clone())) {
            self.taken[index / 64] &= !(1 << (index % 64));
            return false;
        }
        self.order.push((index, core::mem::replace(&mut self.state, state), self.row));
        self.unlink(self.call_at[index]);
        if let Some(place) = self.return_at[index] {
            self.unlink(place);
            self.due -= 1;
            self.row = 0;
        } else {
            self.row += 1;
        }
        true
    }

    fn give_back(&mut self) -> Option<usize> {
        let (index, state, row) = self.order.pop()?;
        (self.state, self.row) = (state, row);
        self.taken[index / 64] &= !(1 << (index % 64));
        if let Some(place) = self.return_at[index] {
            self.relink(place);
            self.due += 1;
        }
        self.relink(self.call_at[index]);
        Some(index)
    }

    fn unlink(&mut self, place: usize) {
        let Place { previous, next, .. } = self.places[place];
        self.places[previous].next = next;
        self.places[next].previous = previous;
    }

    /// Undoes the last [`unlink`](Self::unlink) that is not undone yet; the place kept its neighbours.
    fn relink(&mut self, place: usize) {
        let Place { previous, next, .. } = self.places[place];
        self.places[previous].next = place;
        self.places[next].previous = place;
    }
}
