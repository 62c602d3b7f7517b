"""What a switch costs while 10 to 1,000,000 other tasklets are alive: between two, and round all of them."""
import gc
import multiprocessing
import statistics
import sys
import time
from itertools import repeat

from measure import in_a_child, report, wanted

now = time.thread_time_ns
ALIVE = (10, 1_000, 100_000, 1_000_000)
SWITCHES = 20_000
#: What a waiting tasklet takes, generously: as many as fit into the memory that is free are made.
BYTES = 12 << 10


def between_two():
    from raddle import stackless

    schedule = stackless.schedule

    def turn():
        for _ in repeat(None, SWITCHES):
            schedule()

    stackless.tasklet(turn)()
    schedule()
    begun = now()
    turn()
    cost = (now() - begun) / (2 * SWITCHES)
    stackless.run()
    return cost


def round_robin(count):
    """Switches by turns through ``count`` tasklets."""
    from raddle import stackless

    schedule = stackless.schedule
    turns = max(2, 200_000 // count)

    def turn():
        for _ in repeat(None, turns):
            schedule()

    for _ in range(count):
        stackless.tasklet(turn)()
    schedule()  # each begins
    begun = now()
    for _ in repeat(None, turns - 1):
        schedule()
    cost = (now() - begun) / (count * (turns - 1))
    stackless.run()
    return cost


#: What a child keeps alive.
kept = []


def keep_alive(count):
    """Has so many tasklets wait at a channel."""
    from raddle import stackless

    gc.disable()
    stackless.set_stack_size(128 << 10)
    channel = stackless.channel()
    kept.extend(stackless.tasklet(channel.receive)() for _ in range(count))
    stackless.run()
    assert channel.balance == -count


def by_turns(counts, rounds=15):
    """The switch between two in children of their own, with more alive in each, by turns."""
    children = {count: multiprocessing.get_context("spawn").Pool(1) for count in counts}
    costs = {count: [] for count in counts}
    for count, child in children.items():
        child.apply(keep_alive, (count,))
        child.apply(between_two)
    for _ in range(rounds):
        for count, child in children.items():
            costs[count].append(child.apply(between_two))
    for child in children.values():
        child.terminate()
    return {count: statistics.median(samples) for count, samples in costs.items()}


def turns_of(count):
    from raddle import stackless

    gc.disable()
    stackless.set_stack_size(128 << 10)
    return round_robin(count)


def free_bytes():
    with open("/proc/meminfo") as lines:
        fields = dict(line.split(":", 1) for line in lines)
    return int(fields["MemAvailable"].split()[0]) * 1024


def scale():
    counts = [count for count in ALIVE if count * BYTES < free_bytes()]
    if counts != list(ALIVE):
        print(f"memory is free for {counts[-1]:,} tasklets only", file=sys.stderr)
    costs = by_turns(counts)
    in_turn = {f"round_robin_{count}_ns": in_a_child(turns_of, count) for count in counts}
    between = {f"alive_{count}_ns": costs[count] for count in counts}
    report(
        "tasklet.scale",
        costs[counts[-1]],
        floor=f"with {counts[0]} alive",
        floor_ns=costs[counts[0]],
        tasklets=counts[-1],
        **between,
        **in_turn,
    )


if __name__ == "__main__" and wanted("tasklet.scale"):
    scale()
