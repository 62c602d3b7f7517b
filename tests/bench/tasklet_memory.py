"""What a waiting tasklet takes of memory: 100,000 of them, and a million."""
import gc

from measure import in_a_child, missing, report, wanted

#: The smallest stacks there are, for a million.
SMALL = 128 << 10


def pages():
    """Bytes that are resident, and bytes of the tables that say where."""
    with open("/proc/self/status") as lines:
        fields = dict(line.split(":", 1) for line in lines)
    return [int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmPTE")]


def per_one(count, make):
    """The two for each of ``count``, once ``make`` has made them."""
    gc.disable()
    before = pages()
    kept = make(count)
    after = pages()
    assert len(kept) == count
    return [(now - then) / count for now, then in zip(after, before)]


def tasklets(count, size):
    from raddle import stackless

    if size:
        stackless.set_stack_size(size)
    channel = stackless.channel()

    def make(number):
        made = [stackless.tasklet(channel.receive)() for _ in range(number)]
        stackless.run()
        assert channel.balance == -number
        return made

    stackless.tasklet(int)()
    stackless.run()
    return per_one(count, make)


def in_functions(count, size):
    """The same, each in a Python function of its own."""
    from raddle import stackless

    if size:
        stackless.set_stack_size(size)
    channel = stackless.channel()

    def body():
        return channel.receive()

    def make(number):
        made = [stackless.tasklet(body)() for _ in range(number)]
        stackless.run()
        return made

    return per_one(count, make)


def greenlets(count):
    import greenlet

    main = greenlet.getcurrent()

    def body():
        return main.switch()

    def make(number):
        made = [greenlet.greenlet(body) for _ in range(number)]
        for one in made:
            one.switch()
        return made

    return per_one(count, make)


def show(name, ours, **more):
    resident, tables = ours
    report(name, ours_bytes=resident, tables_bytes=tables, **more)


def memory(count=100_000):
    peer = {}
    try:
        import greenlet
    except ImportError as error:
        missing("greenlet", error)
    else:
        peer["peer"] = f"greenlet {greenlet.__version__}"
        peer["peer_bytes"], peer["peer_tables_bytes"] = in_a_child(greenlets, count)
    bare, _ = in_a_child(tasklets, count, 0)
    show("tasklet.memory", in_a_child(in_functions, count, 0), **peer, without_function_bytes=bare, tasklets=count)


def memory_million(count=1_000_000):
    ours = in_a_child(in_functions, count, SMALL)
    show("tasklet.memory_million", ours, tasklets=count, stack_bytes=SMALL, all_gib=sum(ours) * count / (1 << 30))


for figure in (memory, memory_million):
    if __name__ == "__main__" and wanted(f"tasklet.{figure.__name__}"):
        figure()
