"""tasklets.py: tasklets that pass messages, in a ring and to one that adds them up."""

import raddle
from raddle import stackless


class Ring:
    """Tokens go round: each tasklet receives from the one before it and sends to the one after."""

    def __init__(self, size, tokens, rounds):
        self.size, self.rounds = size, rounds
        self.hops = [0] * tokens
        self.messages = self.done = 0
        places = [stackless.channel() for _ in range(size)]
        for here, there in zip(places, places[1:] + places[:1]):
            stackless.tasklet(self.node)(here.receive, there.send)
        for token in range(tokens):
            stackless.tasklet(places[token * size // tokens].send)(token)

    def node(self, receive, send):
        last, hops = self.rounds * self.size, self.hops
        while True:
            token = receive()
            self.messages += 1
            hops[token] += 1
            if hops[token] == last:
                self.done += 1
            else:
                send(token)

    def is_done(self):
        return self.done == len(self.hops)

    def is_right(self):
        """Every message was a hop of one token; at the end all have made the same number."""
        whole = all(hops == self.rounds * self.size for hops in self.hops) if self.is_done() else True
        return whole and sum(self.hops) == self.messages


class FanIn:
    """Many send their number to one channel, some from threads of the host's; one tasklet adds them up."""

    def __init__(self, size, threads, messages):
        self.size, self.rounds = size, messages
        self.inbox = stackless.channel()
        self.received = [0] * (size + threads)
        self.messages = self.sum = 0
        stackless.tasklet(self.collect)()
        for number in range(size):
            stackless.tasklet(self.produce)(number)

    def produce(self, number):
        raddle.sleep(number % 50 / 1000)
        sent = 0
        while sent < self.rounds or not self.rounds:
            self.inbox.send(number)
            sent += 1
            if sent % 10 == 0:
                raddle.sleep(0.001)

    def produce_on_a_thread(self, index):
        """Called by a native thread, which waits without Python until its message is received."""
        sent = 0
        try:
            while sent < self.rounds or not self.rounds:
                self.inbox.send(self.size + index)
                sent += 1
        except ValueError:
            pass  # The channel was closed: the program ends.

    def collect(self):
        while True:
            number = self.inbox.receive()
            self.messages += 1
            self.sum += number
            self.received[number] += 1

    def is_done(self):
        return self.rounds and self.messages == len(self.received) * self.rounds

    def is_right(self):
        """The sum is that of what each has sent; at the end all have sent the same number."""
        expected = sum(number * count for number, count in enumerate(self.received))
        whole = set(self.received) <= {self.rounds} if self.is_done() else True
        return whole and self.sum == expected and self.messages == sum(self.received)


def begin(size, tokens, rounds, messages, threads, quit):
    """Makes all of the tasklets; `quit` is called when all messages were passed."""
    global ring, fan_in
    ring, fan_in = Ring(size // 2, tokens, rounds), FanIn(size - size // 2, threads, messages)

    def watch():
        while not (ring.is_done() and fan_in.is_done()):
            raddle.sleep(0.01)
        quit()

    if rounds and messages:
        stackless.tasklet(watch)()


def produce_on_a_thread(index):
    fan_in.produce_on_a_thread(index)


def figures():
    stats = stackless.tasklet_stats()
    return ring.messages, fan_in.messages, fan_in.sum, stats["switches"], stats["alive"]


def end():
    """Ends the tasklets, and lets the native threads go; says whether the sums are right."""
    left = stackless.kill_all()
    fan_in.inbox.close()
    fan_in.inbox.clear()
    return ring.is_right() and fan_in.is_right() and left == 0
