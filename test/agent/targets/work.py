# Threads, subprocesses, asyncio, sockets, files, signals in python.
import asyncio, os, queue, signal, socket, subprocess, sys, tempfile, threading, time
end = time.time() + float(sys.argv[1])
bad = 0

def threads():
    q, out = queue.Queue(), []
    def work():
        while (n := q.get()) is not None:
            with open("/proc/self/stat") as f:
                f.read()
            out.append(n * n)
    ts = [threading.Thread(target=work) for _ in range(8)]
    for t in ts: t.start()
    for n in range(200): q.put(n)
    for _ in ts: q.put(None)
    for t in ts: t.join()
    return sum(out) == sum(n * n for n in range(200))

def children():
    ps = [subprocess.Popen(["sh", "-c", f"read x; echo $((x * {n}))"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for n in range(4)]
    return [int(p.communicate("3\n")[0]) for p in ps] == [0, 3, 6, 9] and os.popen("echo hi").read() == "hi\n"

async def echo():
    async def serve(r, w):
        w.write((await r.readline()).upper()); await w.drain(); w.close()
    s = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = s.sockets[0].getsockname()[1]
    async def ask(n):
        r, w = await asyncio.open_connection("127.0.0.1", port)
        w.write(b"x%d\n" % n); got = await r.readline(); w.close()
        return got == b"X%d\n" % n
    got = await asyncio.gather(*[ask(n) for n in range(30)], asyncio.sleep(0.01))
    p = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    o, _ = await p.communicate(b"through cat")
    s.close()
    return all(x is True or x is None for x in got) and o == b"through cat"

def forks():
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(w, str(os.getpid()).encode()); os._exit(5)
    _, st = os.waitpid(pid, 0)
    same = int(os.read(r, 20)) == pid
    os.close(r); os.close(w)
    return same and os.waitstatus_to_exitcode(st) == 5

def alarms():
    hits = []
    signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    t = time.time()
    time.sleep(0.05)            # interrupted and taken up again
    try:
        fd = signal.set_wakeup_fd(-1)
    except ValueError:
        pass
    return hits == [1] and time.time() - t >= 0.05

while time.time() < end:
    for f in (threads, children, lambda: asyncio.run(echo()), forks, alarms):
        if not f():
            bad += 1; print("bad", f)
print("bad", bad)
