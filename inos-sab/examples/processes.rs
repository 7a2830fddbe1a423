//! Two processes share a region; one is killed, and the other goes on: `cargo run -p inos-sab --example processes`.
//!
//! What to notice: the child opens the parent's memory file by its descriptor and reads what the parent wrote where it
//! lies. When it is killed in the middle of its work, nothing has to be guessed: the kernel gives its lock back, which
//! proves its death, and `recover` takes back its end of the ring and the blocks it held.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(path), Some(limit)) => linux::child(&path, limit.parse()?),
        _ => linux::parent(),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("regions between processes are there on Linux only");
}

#[cfg(target_os = "linux")]
mod linux {
    use core::error::Error;
    use core::time::Duration;
    use inos_sab::{Crash, Flow, Frame, Layout, Liveness, Region, Wake};
    use std::io::{BufRead, Write, stdout};
    use std::os::fd::AsRawFd;
    use std::process::{Child, Command, Stdio};

    const MESSAGES: u32 = 1000;

    pub(crate) fn parent() -> Result<(), Box<dyn Error>> {
        // SAFETY:
        // - of those who may open the file, only our children do, and they attach to it as `child` does;
        // - they are started by `exec`.
        let region = unsafe { Region::<Crash>::create_memfd(c"example", &Layout::STANDARD) }?;
        let mut inbox = region.inbox_producer()?;
        for number in 0..MESSAGES {
            let mut block = region.arena().alloc(10_000)?;
            block.write_at(0, &number.to_le_bytes())?;
            inbox.push_object(1, block)?;
        }
        let before = region.arena().largest_free();

        // The first child says when it is in the middle, and is killed there; the second does the rest.
        let mut first = start(&region, MESSAGES / 2)?;
        let mut line = String::new();
        std::io::BufReader::new(first.stdout.take().ok_or("a pipe")?).read_line(&mut line)?;
        first.kill()?;
        first.wait()?;
        let recovery = region.recover()?;
        let dead = recovery.peers.iter().filter(|peer| peer.liveness == Liveness::Dead).count();
        writeln!(stdout(), "child killed after {} messages: {dead} dead participant recovered", line.trim())?;

        let mut second = start(&region, u32::MAX)?;
        drop(inbox); // the ring is closed for the reader once it is empty
        let done = second.wait()?;
        writeln!(stdout(), "second child: {done}")?;
        let after = region.arena().largest_free();
        writeln!(
            stdout(),
            "largest free block: {before} bytes while in flight, {after} of {} now",
            region.arena().max_block_len()
        )?;
        if done.success() && after == region.arena().max_block_len() { Ok(()) } else { Err("blocks were lost".into()) }
    }

    fn start(region: &Region<Crash>, limit: u32) -> Result<Child, Box<dyn Error>> {
        let fd = region.backing_fd().ok_or("a memory file")?.as_raw_fd();
        let path = format!("/proc/{}/fd/{fd}", std::process::id());
        let child =
            Command::new(std::env::current_exe()?).args([path, limit.to_string()]).stdout(Stdio::piped()).spawn()?;
        Ok(child)
    }

    /// Takes messages; after `limit` of them says so and waits for its end, with a block in its hands.
    pub(crate) fn child(path: &str, limit: u32) -> Result<(), Box<dyn Error>> {
        let file = std::fs::File::options().read(true).write(true).open(path)?;
        // SAFETY:
        // - the parent says where its region is, and nobody changes that but by regions; it is sealed;
        // - nothing here forks.
        let region = unsafe { Region::<Crash>::attach_fd(file.into(), &Layout::STANDARD) }?;
        let mut inbox = region.inbox_consumer()?;
        let (mut count, mut last) = (0_u32, None);
        while inbox.wait(None) == Wake::Ready {
            inbox.drain(1, |frame| {
                if let Frame::Object { object, .. } = frame {
                    let bytes = object.as_slice();
                    let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                    // Frames that a killed reader had not given back come again; none is missing.
                    assert!(last.is_none_or(|last| number == last + 1), "{number} follows {last:?}");
                    last = Some(number);
                    count += 1;
                }
                Flow::Continue
            })?;
            if count == limit {
                let _held = region.arena().alloc(1 << 20)?;
                writeln!(stdout(), "{count}")?;
                stdout().flush()?;
                std::thread::sleep(Duration::from_secs(60));
            }
        }
        if last == Some(MESSAGES - 1) { Ok(()) } else { Err("messages are missing".into()) }
    }
}
