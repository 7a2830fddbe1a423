//! A topic of numbers for each direction; to sleep, an event for each direction too.

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{LogLevel, Node, NodeBuilder, ServiceName, SignalHandlingMode, ipc, set_log_level};

use super::Link;
use crate::machine::Pause;
use crate::process::Side;

pub(crate) struct Topics {
    there: Publisher<ipc::Service, u64, ()>,
    back: Subscriber<ipc::Service, u64, ()>,
    /// Without them the end spins.
    events: Option<Events>,
    _node: Node<ipc::Service>,
}

struct Events {
    there: Notifier<ipc::Service>,
    back: Listener<ipc::Service>,
}

/// How an end waits for the next number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Spin,
    Event,
}

/// What this crate's process needs to take part.
pub(crate) fn node() -> Node<ipc::Service> {
    set_log_level(LogLevel::Error);
    let builder = NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled);
    builder.create::<ipc::Service>().expect("iceoryx2 works here")
}

/// The name of a topic or event; `name` belongs to the two ends alone.
pub(crate) fn service_name(name: &str, which: &str) -> ServiceName {
    format!("{name}/{which}").as_str().try_into().expect("a short name")
}

/// One end. The far one is made when the near one exists.
pub(crate) fn end(name: &str, side: Side, waiting: Waiting) -> Topics {
    let node = node();
    let (there, back) = match side {
        Side::Near => ("there", "back"),
        Side::Far => ("back", "there"),
    };
    let topic = |which| {
        let builder = node.service_builder(&service_name(name, which)).publish_subscribe::<u64>();
        builder.open_or_create().expect("a topic")
    };
    let event = |which: &str| {
        let builder = node.service_builder(&service_name(name, &format!("{which}-event"))).event();
        builder.open_or_create().expect("an event")
    };
    let events = (waiting == Waiting::Event).then(|| Events {
        back: event(back).listener_builder().create().expect("a listener"),
        there: event(there).notifier_builder().create().expect("a notifier"),
    });
    let back = topic(back).subscriber_builder().create().expect("a subscriber");
    let there = topic(there).publisher_builder().create().expect("a publisher");
    Topics { there, back, events, _node: node }
}

impl Link for Topics {
    fn send(&mut self, number: u64) {
        let sample = self.there.loan_uninit().expect("the other end has taken the last one");
        sample.write_payload(number).send().expect("the other end is there");
        if let Some(events) = &self.events {
            events.there.notify().expect("the other end is there");
        }
    }

    fn receive(&mut self) -> u64 {
        let mut pause = Pause::short();
        loop {
            if let Some(sample) = self.back.receive().expect("the other end is there") {
                return *sample;
            }
            match &self.events {
                // A notification from before the look ends the wait at once.
                Some(events) => drop(events.back.blocking_wait(|_| {}).expect("the other end is there")),
                None => pause.wait(),
            }
        }
    }
}
