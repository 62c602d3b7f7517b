"""Sends heaps with spead2's own Python package: python spead2_sender.py HOST PORT HEAPS VALUES RATE.

Prints how many packets went out, as spead2 makes them of so many bytes.
"""

import asyncio
import sys

import numpy
import spead2
import spead2.send
import spead2.send.asyncio

HOST, PORT, HEAPS, VALUES, RATE = sys.argv[1], *map(int, sys.argv[2:6])
SAMPLES = 0x1600


async def main():
    config = spead2.send.StreamConfig(max_packet_size=1472, rate=RATE, max_heaps=16)
    flavour = spead2.Flavour(4, 64, 48)
    stream = spead2.send.asyncio.UdpStream(spead2.ThreadPool(), [(HOST, PORT)], config)
    group = spead2.send.ItemGroup(flavour=flavour)
    group.add_item(SAMPLES, "samples", "what is measured", shape=(VALUES,), dtype=numpy.dtype(">i4"))
    for heap in range(1, HEAPS + 1):
        group["samples"].value = (heap * 31 + numpy.arange(VALUES)) % 1000
        await stream.async_send_heap(group.get_heap())
    await stream.async_send_heap(group.get_end())
    await stream.async_flush()


asyncio.run(main())
