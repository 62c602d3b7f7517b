//! The native threads: one receives, some assemble, and none of them ever waits for Python.
//!
//! ```text
//!   socket --> receiver --- a ring each ---> assemblers --- heap ---> whoever asked first
//!     |           |  full? drop, count           ^
//!     |  no room? the kernel drops, counts       +--- asks, a ring <--- Python
//! ```
//!
//! The receiver is in a hurry: a packet that finds its assembler's ring full is dropped and counted.
//! An assembler is not: with a heap in hand it waits until somebody asks for one.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use raddle::primitive::{AtomicU32, Mutex, Ordering, lock};
use raddle::relay::bell::Bell;
use raddle::relay::log::{Level, Target};
use raddle::relay::{Plain, Ring};

use crate::counts::{Counts, Fate};
use crate::heap::{Assembler, Heap};
use crate::socket::Socket;
use spead::Packet;

/// What is done with the next heap, or with `None` when there will be none.
pub type Ask = Box<dyn FnOnce(Option<Heap>) + Send>;

/// How many may ask at a time.
const ASKS: u32 = 1024;

/// The largest packet that UDP has.
const LARGEST: usize = 65_536;

struct Shared {
    counts: Arc<Counts>,
    /// Rings when no more packets are wanted.
    stop: Bell,
    /// One ring for each assembler: a heap's packets all go through the same one.
    lanes: Vec<Ring<Box<[u8]>>>,
    asks: Ring<Ask>,
    /// How many assemblers are at work.
    assemblers: AtomicU32,
}

/// A receiver that runs.
pub struct Receiver {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Receiver {
    /// Starts the threads: so many assemblers, with rings of so many packets.
    pub fn start(socket: Socket, assemblers: u32, ring: u32) -> io::Result<Arc<Self>> {
        let lanes: io::Result<_> = (0..assemblers).map(|_| Ring::new(ring)).collect();
        let shared = Arc::new(Shared {
            counts: Arc::default(),
            stop: Bell::new()?,
            lanes: lanes?,
            asks: Ring::new(ASKS)?,
            assemblers: AtomicU32::new(assemblers),
        });
        let mut threads = Vec::new();
        for lane in 0..shared.lanes.len() {
            let shared = Arc::clone(&shared);
            let thread = Builder::new().name(format!("assembler {lane}"));
            threads.push(thread.spawn(move || shared.assemble(lane))?);
        }
        let theirs = Arc::clone(&shared);
        threads.push(Builder::new().name("receiver".into()).spawn(move || theirs.receive(socket))?);
        Ok(Arc::new(Self { shared, threads: Mutex::new(threads) }))
    }

    pub fn counts(&self) -> &Arc<Counts> {
        &self.shared.counts
    }

    /// Asks for the next heap; from any thread. False if too many ask already.
    pub fn ask(&self, ask: Ask) -> bool {
        match self.shared.asks.try_push(ask) {
            Ok(()) => true,
            Err(refused) if self.shared.asks.is_stopped() => {
                (refused.value)(None);
                true
            }
            Err(_full) => false,
        }
    }

    /// Takes no more packets. What was received is still assembled, and given to those who ask.
    pub fn stop(&self) {
        self.shared.stop.ring();
    }

    /// Ends all of it, and waits for the threads. Nobody will ask any more.
    pub fn end(&self) {
        self.stop();
        self.shared.asks.stop();
        for thread in lock(&self.threads).drain(..) {
            // What a thread's panic had to say is on stderr.
            drop(thread.join());
        }
    }
}

impl Shared {
    /// The receiver's thread: nothing here waits but for packets.
    fn receive(&self, mut socket: Socket) {
        let log = Target::named("stream.receiver");
        let mut buffer = vec![0; LARGEST];
        let mut full = false;
        let mut is_shut = false;
        loop {
            match socket.take(&mut buffer) {
                Ok(Some(packet)) => {
                    let ends = self.sort(packet, &mut full);
                    // Relaxed: a figure; this thread alone writes it.
                    self.counts.dropped_at_socket.store(socket.dropped(), Ordering::Relaxed);
                    if ends {
                        raddle::log!(log, Level::INFO, "the sender has ended the stream");
                        self.stop.ring();
                    }
                }
                Ok(None) if is_shut => break,
                Ok(None) => is_shut = socket.wait(self.stop.fd()) && socket.shut().is_ok(),
                Err(error) => {
                    raddle::log!(log, Level::ERROR, "the socket failed: {error}");
                    break;
                }
            }
        }
        self.counts.dropped_at_socket.store(socket.dropped_at_the_end(), Ordering::Relaxed);
        self.lanes.iter().for_each(Ring::stop);
    }

    /// Puts a packet where it belongs; says whether it ends the stream.
    fn sort(&self, bytes: &[u8], full: &mut bool) -> bool {
        let log = Target::named("stream.receiver");
        self.counts.add(Fate::Received, 1);
        let packet = match Packet::parse(bytes) {
            Ok(packet) => packet,
            Err(why) => {
                raddle::log!(
                    log,
                    Level::DEBUG,
                    { bytes = bytes.len() as u64 },
                    "a packet is {why}"
                );
                self.counts.add(Fate::Malformed, 1);
                return false;
            }
        };
        if packet.ends_stream() {
            self.counts.add(Fate::Control, 1);
            return true;
        }
        let lane = &self.lanes[(packet.heap % self.lanes.len() as u64) as usize];
        let is_full = lane.try_push(bytes.into()).is_err();
        if is_full {
            self.counts.add(Fate::DroppedInRing, 1);
        }
        if is_full && !*full {
            let heap = packet.heap;
            raddle::log!(
                log,
                Level::WARNING,
                { heap = heap },
                "a ring is full: packets are dropped"
            );
        }
        *full = is_full;
        false
    }

    /// An assembler's thread.
    fn assemble(&self, lane: usize) {
        let log = Target::named("stream.assembler");
        let mut assembler = Assembler::new(Arc::clone(&self.counts));
        for bytes in &self.lanes[lane] {
            let Ok(packet) = Packet::parse(&bytes) else { continue };
            if let Some(heap) = assembler.add(&packet) {
                raddle::log!(log, Level::DEBUG, { heap = heap.id, packets = heap.packets }, "complete");
                match self.asks.pop(Plain) {
                    Ok(ask) => ask(Some(heap)),
                    Err(_stopped) => self.counts.add(Fate::Undelivered, heap.packets),
                }
            }
        }
        drop(assembler);
        // AcqRel: the last one sees that the others have given all their heaps away.
        if self.assemblers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.asks.stop();
            self.asks.iter(Plain).for_each(|ask| {
                let Ok(ask) = ask;
                ask(None);
            });
        }
    }
}
