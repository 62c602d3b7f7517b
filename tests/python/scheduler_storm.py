"""A storm of tasklets on a main context: everything that they can do, at random, from a seed.

    python scheduler_storm.py SEED SECONDS

It ends well if nothing crashes, hangs or is left over. test_scheduler.py runs it in children.
"""

import gc
import random
import select
import socket
import sys
import threading
import time

import raddle
from raddle import stackless
from raddle.asyncio import MainContext

MOST = 1500


class Thrown(Exception):
    """What tasklets throw at each other."""


class Storm:
    def __init__(self, seed):
        self.seed, self.random = seed, random.Random(seed)
        self.context, self.tasks, self.made, self.depth, self.over = MainContext(), [], 0, 0, False
        self.refused = self.reported = 0
        self.channels = [stackless.channel() for _ in range(5)]
        for channel in self.channels:
            channel.preference = self.random.choice([-1, 0, 1])
            channel.schedule_all = self.random.random() < 0.2
        self.sockets = [socket.socketpair() for _ in range(4)]
        for pair in self.sockets:
            pair[0].setblocking(False)

    def begin(self, function, *args):
        self.tasks.append(stackless.tasklet(function)(*args))
        if len(self.tasks) > 200:
            del self.tasks[:100]

    def spawn(self):
        if self.made < MOST:
            self.made += 1
            self.begin(self.body, self.made)

    def body(self, number):
        chance = random.Random(self.seed * 100_003 + number)
        deeds = [getattr(self, name) for name in dir(self) if name.startswith("do_")]
        for _ in range(chance.randrange(1, 30)):
            if self.over:
                return
            try:
                chance.choice(deeds)(chance)
            except (Thrown, TimeoutError, BlockingIOError):
                pass
            except RuntimeError:
                self.refused += 1  # A dead tasklet, one of an older dispatch, a blocked one.

    def do_sleep(self, chance):
        raddle.sleep(chance.random() * 0.003)

    def do_wait_fd(self, chance):
        raddle.wait_fd(chance.choice(self.sockets)[0], select.POLLIN, chance.random() * 0.003)

    def do_write(self, chance):
        chance.choice(self.sockets)[1].send(b"x")

    def do_read(self, chance):
        chance.choice(self.sockets)[0].recv(10)

    def do_send(self, chance):
        chance.choice(self.channels).send(1)

    def do_receive(self, chance):
        chance.choice(self.channels).receive()

    def do_schedule(self, _):
        stackless.schedule()

    def do_spawn(self, _):
        self.spawn()

    def do_reply(self, chance):
        reply = raddle.Reply()
        self.begin(lambda: (raddle.sleep(0.001), reply(1)))
        reply.wait(chance.random() * 0.005)

    def victim(self, chance):
        task = chance.choice(self.tasks)
        return None if task is stackless.getcurrent() or task.is_main or not task.alive else task

    def do_kill(self, chance):
        task = self.victim(chance)
        if task is not None:
            task.kill(pending=chance.random() < 0.5)

    def do_throw(self, chance):
        task = self.victim(chance)
        if task is not None:
            task.throw(Thrown, "x", pending=chance.random() < 0.5)

    def do_run_some(self, chance):
        if chance.random() < 0.3:
            stackless.run_n_tasklets(3)

    def do_turn(self, _):
        if self.depth < 3:
            self.depth += 1
            try:
                for _ in range(3):
                    self.context.iteration(False)
            finally:
                self.depth -= 1

    def send_from_a_thread(self):
        chance = random.Random(self.seed)
        while not self.over:
            channel = chance.choice(self.channels)
            if channel.balance < 0:
                try:
                    channel.send(2)
                except RuntimeError:
                    self.refused += 1
            time.sleep(0.0005)

    def run(self, seconds):
        raddle.attach_scheduler(self.context, budget=self.random.choice([0.0002, 0.002, 0.01]))
        thread = threading.Thread(target=self.send_from_a_thread, daemon=True)
        thread.start()
        end = time.monotonic() + seconds
        for _ in range(50):
            self.spawn()
        while time.monotonic() < end:
            self.context.iteration(False)
            if self.random.random() < 0.1:
                self.spawn()
            if self.random.random() < 0.02:
                gc.collect()
            if self.random.random() < 0.01:
                self.random.choice(self.channels).clear()
        self.over = True
        while thread.is_alive():
            for channel in self.channels:
                channel.clear()
            thread.join(0.01)
        raddle.detach_scheduler(self.context)
        for _ in range(20):
            # Those that have not begun yet begin, and may have to be killed then.
            left = stackless.kill_all()
            stackless.run()
            if not left and stackless.runcount == 1 and not stackless.tasklet_stats()["alive"]:
                break
        return left

    def report(self, about):
        assert issubclass(about.exc_type, (Thrown, RuntimeError, SystemExit)), about
        self.reported += 1


storm = Storm(int(sys.argv[1]))
# Who is thrown at while it runs a loop of its own is told as a failed tasklet is.
sys.unraisablehook = storm.report
left = storm.run(float(sys.argv[2]))
storm.tasks.clear()
gc.collect()
stats = stackless.tasklet_stats()
assert left == 0 and stats["alive"] == 0 and stats["stacks"] == 0, (left, stats)
assert stackless.runcount == 1
print("seed", storm.seed, "made", storm.made, "refused", storm.refused, "reported", storm.reported)
