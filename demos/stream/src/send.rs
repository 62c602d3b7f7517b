//! stream-send: sends heaps at a chosen rate, whole or with losses, for the receiver to count.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::net::UdpSocket;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use spead::{Pointer, STREAM_STOP, id, write};

const HELP: &str = "\
usage: stream-send [OPTION]...
Sends SPEAD-64-48 heaps of float32 samples over UDP, and prints what it sent as a JSON object.

  --to ADDRESS       the receiver (127.0.0.1:7148)
  --heaps N          how many (100; 0 for as many as there is time for)
  --seconds S        stop after so long
  --values N         samples in each heap (4096)
  --payload BYTES    in each packet at most (1472)
  --rate N           packets in a second (20000; 0 for as fast as it goes)
  --shuffle          send the packets of each heap in another order
  --lose N           leave out each Nth packet
  --twice N          send each Nth packet twice
  --garbage N        send something else after each Nth packet
  --endless          do not end the stream
";

/// The items that are sent.
const SAMPLES: u16 = 0x1600;
const TICK: u16 = 0x1601;

struct Options {
    to: String,
    heaps: u64,
    seconds: f64,
    values: u64,
    payload: usize,
    rate: f64,
    shuffle: bool,
    lose: u64,
    twice: u64,
    garbage: u64,
    endless: bool,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        to: "127.0.0.1:7148".into(),
        heaps: 100,
        seconds: f64::INFINITY,
        values: 4096,
        payload: 1472,
        rate: 20_000.0,
        shuffle: false,
        lose: 0,
        twice: 0,
        garbage: 0,
        endless: false,
    };
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(|| format!("{word} needs a value"));
        fn value<T: std::str::FromStr>(text: &str) -> Result<T, String> {
            text.parse().map_err(|_| format!("{text} is no such value"))
        }
        match word.as_str() {
            "--to" => options.to = next()?,
            "--heaps" => options.heaps = value(&next()?)?,
            "--seconds" => options.seconds = value(&next()?)?,
            "--values" => options.values = value(&next()?)?,
            "--payload" => options.payload = value::<usize>(&next()?)?.max(8),
            "--rate" => options.rate = value(&next()?)?,
            "--shuffle" => options.shuffle = true,
            "--lose" => options.lose = value(&next()?)?,
            "--twice" => options.twice = value(&next()?)?,
            "--garbage" => options.garbage = value(&next()?)?,
            "--endless" => options.endless = true,
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(options)
}

/// Sends, and counts.
struct Sender {
    socket: UdpSocket,
    options: Options,
    begun: Instant,
    /// Packets that were made, sent or not.
    made: u64,
    sent: u64,
    lost: u64,
    twice: u64,
    garbage: u64,
    heaps: u64,
}

impl Sender {
    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.made += 1;
        let is_each = |number: u64| number > 0 && self.made.is_multiple_of(number);
        let (lose, twice) = (is_each(self.options.lose), is_each(self.options.twice));
        let garbage = is_each(self.options.garbage);
        if lose {
            self.lost += 1;
        } else {
            self.put(packet)?;
        }
        if twice && !lose {
            self.twice += 1;
            self.put(packet)?;
        }
        if garbage {
            self.garbage += 1;
            self.put(b"not a packet of the protocol")?;
        }
        Ok(())
    }

    fn put(&mut self, packet: &[u8]) -> io::Result<()> {
        self.keep_pace();
        // Nobody listens any more: the kernel says so once for an earlier packet.
        match self.socket.send(packet) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            result => drop(result?),
        }
        self.sent += 1;
        Ok(())
    }

    fn keep_pace(&self) {
        if self.options.rate > 0.0 {
            let due = Duration::from_secs_f64(self.sent as f64 / self.options.rate);
            let early = due.saturating_sub(self.begun.elapsed());
            // A short sleep takes longer than it says: the next ones catch up.
            if early > Duration::from_micros(200) {
                thread::sleep(early);
            }
        }
    }

    /// Sends heap number `heap`, from 1, in packets.
    fn send_heap(&mut self, heap: u64) -> io::Result<()> {
        let mut data: Vec<u8> = (0..self.options.values)
            .flat_map(|index| (((heap * 31 + index) % 1000) as f32).to_le_bytes())
            .collect();
        let mut items = vec![
            Pointer::address(SAMPLES, 0),
            Pointer::immediate(TICK, heap * self.options.values),
        ];
        if heap == 1 {
            for (item, name, dtype) in [(SAMPLES, "samples", "<f4"), (TICK, "tick", "<u8")] {
                items.push(Pointer::address(id::DESCRIPTOR, data.len() as u64));
                data.extend(describe(item, name, dtype, self.options.values));
            }
        }
        let step = self.options.payload;
        let mut starts: Vec<usize> = (0..data.len()).step_by(step).collect();
        if self.options.shuffle {
            let half = starts.len() / 2;
            starts.rotate_left(half);
            starts.reverse();
        }
        let mut packet = Vec::new();
        for start in starts {
            let payload = &data[start..data.len().min(start + step)];
            let items: &[Pointer] = if start == 0 { &items } else { &[] };
            write(&mut packet, heap, data.len() as u64, start as u64, payload, items);
            self.send(&packet)?;
        }
        self.heaps += 1;
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        let mut heap = 0;
        while self.options.heaps == 0 || heap < self.options.heaps {
            if self.begun.elapsed().as_secs_f64() >= self.options.seconds {
                break;
            }
            heap += 1;
            self.send_heap(heap)?;
        }
        if !self.options.endless {
            let mut packet = Vec::new();
            write(
                &mut packet,
                heap + 1,
                0,
                0,
                b"",
                &[Pointer::immediate(id::CONTROL, STREAM_STOP)],
            );
            self.put(&packet)?;
        }
        Ok(())
    }
}

/// A descriptor of an item, itself written as a packet.
fn describe(item: u16, name: &str, dtype: &str, values: u64) -> Vec<u8> {
    let dtype = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({values},)}}");
    let payload = [name.as_bytes(), dtype.as_bytes()].concat();
    let items = [
        Pointer::immediate(id::DESCRIBED, u64::from(item)),
        Pointer::address(id::NAME, 0),
        Pointer::address(id::DTYPE, name.len() as u64),
    ];
    let mut packet = Vec::new();
    write(&mut packet, 1, payload.len() as u64, 0, &payload, &items);
    packet
}

fn run() -> Result<(), String> {
    let options = parse(std::env::args().skip(1))?;
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
    socket.connect(&options.to).map_err(|error| format!("{}: {error}", options.to))?;
    let begun = Instant::now();
    let mut sender = Sender {
        socket,
        options,
        begun,
        made: 0,
        sent: 0,
        lost: 0,
        twice: 0,
        garbage: 0,
        heaps: 0,
    };
    sender.run().map_err(|error| error.to_string())?;
    let Sender { sent, lost, twice, garbage, heaps, .. } = sender;
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(
        io::stdout(),
        "{{\"packets\":{sent},\"lost\":{lost},\"twice\":{twice},\"garbage\":{garbage},\"heaps\":{heaps},\"seconds\":{seconds:.3}}}"
    )
    .map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("stream-send: {line}");
            ExitCode::from(2)
        }
    }
}
