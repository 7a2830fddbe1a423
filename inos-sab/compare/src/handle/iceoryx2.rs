//! Samples of iceoryx2, which are lent and sent without a copy.

use core::mem::MaybeUninit;
use std::io;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{Node, ipc};

use super::{Courier, Payload, deliver_all};
use crate::link::iceoryx2::{node, service_name};
use crate::machine::Pause;
use crate::payload::Touch;
use crate::process::{Start, Way, unique_name};

/// The near end of a topic of payloads and one of answers.
struct Topics {
    there: Publisher<ipc::Service, [u64], ()>,
    back: Subscriber<ipc::Service, u64, ()>,
}

/// Bytes of a word.
const WORD: u32 = 8;

/// Seconds per delivery.
pub(crate) fn turn(payload: Payload, deliveries: u64) -> io::Result<f64> {
    let (name, node) = (unique_name(), node());
    let payloads = node.service_builder(&service_name(&name, "payloads")).publish_subscribe::<[u64]>();
    let payloads = payloads.open_or_create().expect("a topic");
    let words = (payload.len / WORD) as usize;
    let there = payloads.publisher_builder().initial_max_slice_len(words).create().expect("a publisher");
    let answers = answers(&node, &name);
    let back = answers.subscriber_builder().create().expect("a subscriber");
    let mut near = Topics { there, back };
    let far = Start::new(Way::HandleIceoryx)?.payload(payload).name(&name).spawn()?;
    // Its first answer says that it is there.
    assert_eq!(near.answer(), 0, "nothing was sent yet");
    let seconds = deliver_all(&mut near, payload, deliveries);
    // A payload of one word is the last.
    near.there.loan_slice(1).expect("room").send().expect("the far end is there");
    far.join();
    Ok(seconds)
}

type Answers = iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, u64, ()>;

fn answers(node: &Node<ipc::Service>, name: &str) -> Answers {
    let answers = node.service_builder(&service_name(name, "answers")).publish_subscribe::<u64>();
    answers.open_or_create().expect("a topic")
}

impl Topics {
    fn answer(&mut self) -> u64 {
        let mut pause = Pause::short();
        loop {
            match self.back.receive().expect("the far end is there") {
                Some(answer) => return *answer,
                None => pause.wait(),
            }
        }
    }
}

impl Courier for Topics {
    fn deliver(&mut self, number: u64, payload: Payload) -> u64 {
        let mut sample = self.there.loan_slice_uninit((payload.len / WORD) as usize).expect("room");
        if payload.touch == Touch::Touch {
            write(number, sample.payload_mut());
        }
        // SAFETY:
        // - every word was written, now or, where payloads are not touched, by the kernel, which gives zeroed pages.
        let sample = unsafe { sample.assume_init() };
        sample.send().expect("the far end is there");
        self.answer()
    }
}

/// As `payload::write`, in words.
fn write(number: u64, words: &mut [MaybeUninit<u64>]) {
    for (index, word) in (0..).zip(words) {
        word.write(number.wrapping_add(index).to_le());
    }
}

/// The far end.
pub(crate) fn serve(name: &str, payload: Payload) {
    let node = node();
    let payloads = node.service_builder(&service_name(name, "payloads")).publish_subscribe::<[u64]>();
    let payloads = payloads.open_or_create().expect("a topic");
    let requests = payloads.subscriber_builder().create().expect("a subscriber");
    let answers = answers(&node, name).publisher_builder().create().expect("a publisher");
    answers.send_copy(0).expect("the near end is there");
    let mut pause = Pause::short();
    loop {
        let Some(sample) = requests.receive().expect("the near end is there") else {
            pause.wait();
            continue;
        };
        let words = sample.payload();
        if words.len() == 1 {
            return;
        }
        let answer = match payload.touch {
            Touch::Touch => words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le(*word))),
            Touch::NoTouch => words.len() as u64 * u64::from(WORD),
        };
        drop(sample);
        answers.send_copy(answer).expect("the near end is there");
    }
}
