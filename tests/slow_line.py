"""A line of one's own between nodes of one machine: long, narrow, or one that breaks."""
import asyncio
import random
import threading

HELD_BYTES_MAX = 1 << 18  # On the way in one direction; the sender waits.


class Line:
    """Listens at `address` and carries each connection to `to`, both HOST:PORT. Every byte comes `delay_s` later and no
    faster than `bit_per_s` each way; a connection is reset after so many bytes as a draw with the mean
    `bytes_between_resets` says. `connections` and `resets` are counted."""

    def __init__(self, address, to, delay_s=0.0, bit_per_s=float("inf"), bytes_between_resets=float("inf"), seed=1):
        self.address, self.to = address, to
        self.delay_s, self.bit_per_s, self.bytes_between_resets = delay_s, bit_per_s, bytes_between_resets
        self.random = random.Random(seed)
        self.connections = self.resets = 0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def _run(self, ready):
        async def listen():
            host, port = self.address.rsplit(":", 1)
            await asyncio.start_server(self._carry, host, int(port))
            ready.set()

        self.loop.set_exception_handler(lambda loop, context: None)  # Peers that are killed.
        self.loop.create_task(listen())
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()

    async def _carry(self, reader, writer):
        self.connections += 1
        try:
            there, back = await asyncio.open_connection(*self.to.rsplit(":", 1))
        except OSError:
            writer.transport.abort()
            return
        left = [float("inf")]
        if self.bytes_between_resets < float("inf"):
            left[0] = self.random.expovariate(1 / self.bytes_between_resets)

        def cut():
            for end in (writer, back):
                end.transport.abort()

        await asyncio.gather(self._pump(reader, back, left, cut), self._pump(there, writer, left, cut),
                             return_exceptions=True)
        cut()

    async def _pump(self, source, sink, left, cut):
        held, room, free_at = asyncio.Queue(), asyncio.Condition(), 0.0
        on_the_way = [0]

        async def deliver():
            while True:
                due, block = await held.get()
                await asyncio.sleep(due - self.loop.time())
                if block is None:
                    return sink.write_eof()
                sink.write(block)
                await sink.drain()
                left[0] -= len(block)
                if left[0] < 0:
                    self.resets += 1
                    return cut()
                async with room:
                    on_the_way[0] -= len(block)
                    room.notify()

        delivery = self.loop.create_task(deliver())
        try:
            while block := await source.read(4096):
                free_at = max(free_at, self.loop.time()) + 8 * len(block) / self.bit_per_s
                on_the_way[0] += len(block)
                held.put_nowait((free_at + self.delay_s, block))
                async with room:
                    await room.wait_for(lambda: on_the_way[0] < HELD_BYTES_MAX)
            held.put_nowait((max(free_at, self.loop.time()) + self.delay_s, None))
            await delivery
        finally:
            delivery.cancel()
