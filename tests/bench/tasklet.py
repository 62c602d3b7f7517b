"""What a switch, a channel, a beginning and a watchdog cost, beside greenlet, gevent and asyncio."""
import asyncio
import resource
import threading
import time
from itertools import repeat

from measure import measure, missing, report, wanted

from raddle import stackless

try:
    import greenlet
except ImportError as error:
    greenlet = None
    missing("greenlet", error)
try:
    from gevent.queue import Channel as GeventChannel
    import gevent
except ImportError as error:
    gevent = None
    missing("gevent", error)

#: Processor time: all but the contended figures have one thread, and what else runs here is not theirs.
now = time.thread_time_ns
#: Switches, items and tasklets of one round.
SWITCHES = 20_000
ITEMS = 5_000
SPAWNS = 1_000


def under_calls(depth, body):
    """Calls ``body`` under so many nested calls of a C function."""
    if depth == 0:
        return body()
    return sorted((0,), key=lambda _: under_calls(depth - 1, body))


def of_tasklets(depth=0, count=SWITCHES):
    """A round of switches between two tasklets, each under ``depth`` nested C calls."""
    def run():
        schedule, cost = stackless.schedule, []

        def turn():
            for _ in repeat(None, count):
                schedule()

        def timed():
            schedule()  # until both are where they are to be
            begun = now()
            turn()
            cost.append((now() - begun) / (2 * count))

        for body in (timed, lambda: (schedule(), turn())):
            stackless.tasklet(under_calls)(depth, body)
        stackless.run()
        return cost[0]

    return run


def of_greenlets(depth=0, count=SWITCHES):
    """The same between two greenlets."""
    def run():
        cost = []
        pair = []

        def turn(other):
            switch = pair[other].switch
            for _ in repeat(None, count):
                switch()

        def timed():
            pair[1].switch()
            begun = now()
            turn(1)
            cost.append((now() - begun) / (2 * count))

        def other():
            pair[0].switch()
            turn(0)

        pair.extend(greenlet.greenlet(lambda body=body: under_calls(depth, body)) for body in (timed, other))
        pair[0].switch()
        while not all(one.dead for one in pair):
            for one in pair:
                one.switch()
        return cost[0]

    return run


def of_generators():
    """In and out of a generator, the least that CPython does to go on elsewhere: it has no stack."""
    step = (None for _ in repeat(None, SWITCHES + 1)).__next__
    begun = now()
    for _ in repeat(None, SWITCHES):
        step()
    return (now() - begun) / (2 * SWITCHES)


def of_calls():
    """The call of a C function that does nothing, which is part of every switch from Python."""
    call = stackless.getruncount
    begun = now()
    for _ in repeat(None, SWITCHES):
        call()
    return (now() - begun) / SWITCHES


def peer_greenlet(**how):
    return greenlet and (f"greenlet {greenlet.__version__}", of_greenlets(**how))


def switch():
    measure(
        "tasklet.switch",
        of_tasklets(),
        peer_greenlet(),
        ("generator.__next__, which has no stack", of_generators),
        beside={"call": of_calls},
    )


def switch_deep():
    measure(
        "tasklet.switch_deep",
        of_tasklets(depth=100),
        peer_greenlet(depth=100, count=SWITCHES // 20),
        ("the same at depth 0", of_tasklets()),
    )


class Spinning:
    """A thread that runs Python code without a pause while the block runs."""

    def __enter__(self):
        self.ends = False
        self.began = threading.Event()
        self.thread = threading.Thread(target=self.spin)
        self.thread.start()
        self.began.wait()

    def spin(self):
        self.began.set()
        while not self.ends:
            pass

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()


def switch_contended():
    """Processor time of the switching thread: by the clock half belongs to the one that spins. A switch that
    gave Python up would show as waits, of which there is one per turn of the other thread, and no more."""
    contended = of_tasklets(count=10 * SWITCHES)
    greenlets = greenlet and of_greenlets(count=2 * SWITCHES)
    waits, walls = [], []

    def ours():
        before, begun = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw, time.perf_counter_ns()
        with Spinning():
            cost = contended()
        walls.append((time.perf_counter_ns() - begun) / (20 * SWITCHES))
        waits.append(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before)
        return cost

    def theirs():
        with Spinning():
            return greenlets()

    costs = {"ours": [], "peer": [], "floor": []}
    alone = of_tasklets(count=10 * SWITCHES)
    for _ in range(11):
        costs["ours"].append(ours())
        costs["floor"].append(alone())
        if greenlets:
            costs["peer"].append(theirs())
    middle = {which: sorted(samples)[len(samples) // 2] for which, samples in costs.items() if samples}
    peer = {"peer": f"greenlet {greenlet.__version__}", "peer_ns": middle["peer"]} if greenlets else {}
    report(
        "tasklet.switch_contended",
        middle["ours"],
        **peer,
        floor="tasklet.switch, no other thread",
        floor_ns=middle["floor"],
        wall_ns=sorted(walls)[len(walls) // 2],
        waits_per_million=sorted(waits)[len(waits) // 2] * 1e6 / (20 * SWITCHES),
    )


def through_channel():
    """Items from a tasklet to another, each a meeting of the two."""
    channel = stackless.channel()
    cost = []

    def sender():
        send = channel.send
        for item in repeat(None, ITEMS):
            send(item)

    def receiver():
        receive = channel.receive
        begun = now()
        for _ in repeat(None, ITEMS):
            receive()
        cost.append((now() - begun) / ITEMS)

    stackless.tasklet(receiver)()
    stackless.tasklet(sender)()
    stackless.run()
    return cost[0]


def through_gevent():
    channel = GeventChannel()

    def sender():
        put = channel.put
        for item in repeat(None, ITEMS):
            put(item)

    def receiver():
        get = channel.get
        begun = now()
        for _ in repeat(None, ITEMS):
            get()
        return (now() - begun) / ITEMS

    there, here = gevent.spawn(receiver), gevent.spawn(sender)
    gevent.joinall([there, here])
    return there.value


def channel():
    measure(
        "tasklet.channel",
        through_channel,
        gevent and (f"gevent {gevent.__version__}'s Channel", through_gevent),
        ("two switches", lambda: 2 * of_tasklets(count=ITEMS)()),
    )


def through_asyncio(size):
    async def both():
        queue = asyncio.Queue(size)

        async def sender():
            put = queue.put
            for item in repeat(None, ITEMS):
                await put(item)

        async def receiver():
            get = queue.get
            begun = now()
            for _ in repeat(None, ITEMS):
                await get()
            return (now() - begun) / ITEMS

        there = asyncio.create_task(receiver())
        await asyncio.create_task(sender())
        return await there

    return lambda: asyncio.run(both())


def channel_asyncio():
    measure(
        "tasklet.channel_asyncio",
        through_channel,
        ("asyncio.Queue(1)", through_asyncio(1)),
        beside={"unbounded": through_asyncio(0)},
    )


def nothing():
    pass


def spawn_tasklets():
    tasklet = stackless.tasklet
    begun = now()
    for _ in repeat(None, SPAWNS):
        tasklet(nothing)()
    stackless.run()
    return (now() - begun) / SPAWNS


def spawn_greenlets():
    begun = now()
    for _ in repeat(None, SPAWNS):
        greenlet.greenlet(nothing).switch()
    return (now() - begun) / SPAWNS


def spawn_gevent():
    begun = now()
    gevent.joinall([gevent.spawn(nothing) for _ in repeat(None, SPAWNS)])
    return (now() - begun) / SPAWNS


def spawn():
    measure(
        "tasklet.spawn",
        spawn_tasklets,
        greenlet and (f"greenlet {greenlet.__version__}", spawn_greenlets),
        beside={"gevent": spawn_gevent} if gevent else {},
    )


def work(rounds=30_000):
    """Python code of a thread that has no tasklets: what one round of it costs, by its processor's time."""
    begun = now()
    total = 0
    for number in range(rounds):
        total += number & 3
    return (now() - begun) / rounds


def while_running(body):
    """The cost of other threads' work while this one runs ``body`` again and again."""
    def run():
        costs, over = [], threading.Event()

        def there():
            costs.append(work())
            over.set()

        thread = threading.Thread(target=there)
        thread.start()
        while not over.is_set():
            body()
        thread.join()
        return costs[0]

    return run


def loop():
    for _ in repeat(None, 2_000):
        pass


def watched():
    """Tasklets under a watchdog that counts their instructions."""
    stackless.tasklet(loop)()
    while stackless.run(timeout=1_000) is not None:
        stackless.run()


def watched_by_time():
    stackless.tasklet(loop)()
    stackless.run_for(10_000_000)


def counted(run):
    """What the tasklets themselves pay."""
    def once():
        begun = now()
        run()
        return (now() - begun) / 2_000

    return once


def watchdog_others():
    measure(
        "tasklet.watchdog_others",
        while_running(watched),
        floor=("beside the same code, not counted", while_running(loop)),
        beside={
            "by_time": while_running(watched_by_time),
            "counted": counted(watched),
            "not_counted": counted(loop),
        },
    )


for figure in (switch, switch_deep, switch_contended, channel, channel_asyncio, spawn, watchdog_others):
    if wanted(f"tasklet.{figure.__name__}"):
        figure()
