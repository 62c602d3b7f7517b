"""table.py: awaits heaps as the native threads complete them, and shows what is in them."""

import array
import ast
import asyncio
import collections
import contextlib
import logging
import math
import signal
import sys
import time

log = logging.getLogger("stream.table")

#: Between two drawings of the live table.
REDRAW = 0.25


async def heaps(native, ahead):
    """Give heap after heap, with so many asked for at a time, until there are no more."""
    asked = collections.deque(native.ask() for _ in range(ahead))  # a native thread completes them
    while asked:
        heap = await asked.popleft()
        if heap is not None:
            asked.append(native.ask())
            yield heap


class Statistics:
    """Count, mean, deviation and range of all values of one item."""

    def __init__(self, name):
        self.name, self.heaps, self.count = name, 0, 0
        self.sum = self.squares = 0.0
        self.least, self.most = math.inf, -math.inf

    def add(self, values):
        if not len(values):
            return
        self.heaps += 1
        self.count += len(values)
        if numpy and isinstance(values, numpy.ndarray):
            values = values.astype(float)
            self.sum += float(values.sum())
            self.squares += float((values * values).sum())
            self.least, self.most = min(self.least, float(values.min())), max(self.most, float(values.max()))
        else:
            self.sum += math.fsum(values)
            self.squares += math.fsum(value * value for value in values)
            self.least, self.most = min(self.least, *values), max(self.most, *values)

    @property
    def mean(self):
        return self.sum / self.count if self.count else math.nan

    @property
    def deviation(self):
        return math.sqrt(max(0.0, self.squares / self.count - self.mean**2)) if self.count else math.nan


def read(data, dtype):
    """The numbers in an item, whose type is written as NumPy writes it."""
    if numpy:
        return numpy.frombuffer(data, dtype)
    kinds = {"f4": "f", "f8": "d", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}
    values = array.array(kinds[dtype[1:]], data)
    if (dtype[0] == ">") == (sys.byteorder == "little"):
        values.byteswap()
    return values


class Table:
    """What has come, by item."""

    def __init__(self, native):
        self.native, self.types, self.rows = native, {}, {}
        #: Items that came before their description: heaps are not in order.
        self.early = collections.deque(maxlen=1000)
        self.begun, self.drawn = time.monotonic(), 0
        self.live = sys.stdout.isatty()

    def add(self, heap):
        for number, (name, header) in heap["described"].items():
            try:
                dtype = ast.literal_eval(header)["descr"]
            except (SyntaxError, ValueError, LookupError, TypeError):
                log.warning("item 0x%x is of no type that is known here: %r", number, header)
                continue
            self.types[number] = (name, dtype)
        self.early.extend(heap["items"].items())
        for _ in range(len(self.early)):
            number, value = self.early.popleft()
            if number not in self.types:
                self.early.append((number, value))
                continue
            name, dtype = self.types[number]
            values = read(value, dtype) if isinstance(value, bytes) else [value]
            self.rows.setdefault(number, Statistics(name)).add(values)

    def lines(self):
        counts = self.native.counts()
        seconds = time.monotonic() - self.begun
        yield f"{counts['heaps']} heaps in {seconds:.1f} s, computed by {numpy.__name__ if numpy else 'plain Python'}"
        packets = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in counts if name != "heaps" and counts[name])
        yield f"packets: {packets or 'none yet'}"
        yield f"{'item':>6} {'name':<16}{'values':>12}{'mean':>14}{'deviation':>14}{'least':>14}{'most':>14}"
        for number, row in sorted(self.rows.items()):
            yield (
                f"0x{number:04x} {row.name:<16}{row.count:>12}{row.mean:>14.6g}{row.deviation:>14.6g}"
                f"{row.least:>14.6g}{row.most:>14.6g}"
            )

    def draw(self):
        lines = list(self.lines())
        if self.drawn:
            print(f"\x1b[{self.drawn}A\x1b[J", end="")
        print("\n".join(lines), flush=True)
        self.drawn = len(lines)

    async def keep_drawing(self):
        while self.live:
            self.draw()
            await asyncio.sleep(REDRAW)


async def show(native, options):
    """Show the table until the stream ends; say whether that was by Ctrl-C."""
    loop = asyncio.get_running_loop()
    native.completions.attach(loop)
    interrupted = False

    def interrupt():
        nonlocal interrupted
        interrupted = True
        # What has been received is still shown. A second Ctrl-C does what it does elsewhere.
        loop.remove_signal_handler(signal.SIGINT)
        native.stop()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    if options["seconds"] < math.inf:
        loop.call_later(options["seconds"], native.stop)
    table = Table(native)
    drawing = asyncio.create_task(table.keep_drawing())
    async for heap in heaps(native, options["ahead"]):
        table.add(heap)
        if options["slow"]:
            await asyncio.sleep(options["slow"])
    drawing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await drawing
    table.draw()
    return interrupted


def prepare(plain, verbose):
    """Called before the first packet comes."""
    global numpy
    numpy = None
    if not plain:
        with contextlib.suppress(ImportError):
            import numpy
    level = logging.DEBUG if verbose else logging.INFO
    # Records of the native threads come here too, with their own time and thread.
    logging.basicConfig(level=level, format="%(asctime)s %(threadName)-12s %(levelname)-7s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def main(native, options):
    """Run the table on a loop of asyncio's."""
    return asyncio.run(show(native, options))
