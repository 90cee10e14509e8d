"""The gateway's rows of scripts/bench: dtma beside the smallest gateway and its peers, in one run of a gateway benchmark.

The benchmark is a folder with run.py, gateways.py and a load generator (../shared/gateway-bench); it is copied, and an entry
for dtma is added to the copy. dtma runs as it is installed: capability, argument check, digest check and audit on, its server
in a hardened container. The smallest gateway has none of this, and its server as a child.
"""

import json, pathlib, shutil, subprocess, sys, time

ENTRY = '''
gateway("dtma", label="DTMA", kind="ours", many=True,
        url=lambda c: [mcp(c, "/mcp/b%02d" % i) for i in range(c.count)], token=lambda c: c.read("token"),
        prepare=lambda c: [{tool!r}, "prepare", "--dtma", {dtma!r}, "--dir", c.state, "--port", c.port, "--count", c.count,
                           "--image", "gwbench-echo:local"],
        start=lambda c: [{dtma!r}, "run", "--state", c.state + "/box"], env={{"DTMA_LOG": "error"}})
'''
# agentgateway's calls a second over the smallest gateway's, as the benchmark's own page has them (PEERS.md).
PEER = {16: 27_164 / 134_900, 64: 25_825 / 143_482}


class Bench:
    def __init__(self, source, scratch, examples, programs):
        self.here, self.scratch = scratch / "gateway-bench", scratch / "gateways"
        shutil.copytree(source, self.here)
        (self.here / "gateways.py").chmod(0o644)
        self.dtma = str(programs / "dtma")
        with open(self.here / "gateways.py", "a") as registry:
            registry.write(ENTRY.format(tool=str(examples / "toolbox_bench"), dtma=self.dtma))

    def run(self, only, parts, duration):
        """The results by gateway, then by cell."""
        out = self.scratch / "out"
        command = [sys.executable, str(self.here / "run.py"), "--scratch", str(self.scratch), "--only", only, "--parts", parts, "--rounds", "1",
                   "--duration", str(duration), "--warmup", "1", "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads((out / "results.json").read_text())["results"]

    def close(self):
        """Ends what `prepare` left: the servers' containers and the control planes."""
        for state in (self.scratch / "state").glob("dtma*"):
            subprocess.run([self.dtma, "uninstall", "--yes", "--state", str(state / "box")], stdout=subprocess.DEVNULL)
            pid = state / "plane.pid"
            if pid.exists():
                subprocess.run(["kill", pid.read_text()])


def measure(bench, row, at_most, at_least, duration=10):
    found = bench.run("direct,floor,dtma,mcp-proxy-npm", "core,sessions,era,many,backends", duration)
    ours, floor = found["dtma"], found["floor"]
    for clients in (1, 16, 64):
        cell = f"100B/c{clients}"
        rate, least = ours[cell]["rps"], floor[cell]["rps"]
        note = f"{rate / least:.2f} of the smallest gateway's {least:,.0f}"
        if clients == 1:
            row("calls/s, 1 client, server in its container", rate, "/s", note=note)
        else:
            at_least(f"calls/s, {clients} clients, over the smallest gateway's", rate / least, "", 0.5, f"{rate:,.0f}/s against {least:,.0f}/s")
            at_least(f"calls/s, {clients} clients, over agentgateway's in proportion", rate / (least * PEER[clients]), "", 2)
    at_most("processor time a call, 64 clients", ours["100B/c64"]["cpu_us_per_call"], "µs", 25, f"smallest {floor['100B/c64']['cpu_us_per_call']:.1f}")
    at_most("errors and answers to the wrong caller", sum(v["errors"] for v in ours.values() if isinstance(v, dict) and "rps" in v), "", 0)
    for clients in (16, 64):
        at_least(f"calls/s, stateless over session, {clients} clients", ours[f"modern/c{clients}"]["rps"] / ours[f"100B/c{clients}"]["rps"], "", 0.9,
                 f"{ours[f'modern/c{clients}']['rps']:,.0f}/s")
    inside = floor.get("docker/c1", {}).get("p50_us")
    if inside:
        at_most("p50, 1 client, over the smallest gateway's, both servers in a container", ours["100B/c1"]["p50_us"] / inside, "", 1.5,
                f"{ours['100B/c1']['p50_us']:.0f} µs against {inside:.0f} µs")
    for clients in (16, 64):
        cell = f"64K/c{clients}"
        at_least(f"64 KiB bodies, {clients} clients, over the smallest gateway's", ours[cell]["rps"] / floor[cell]["rps"], "", 0.8, f"{ours[cell]['rps']:,.0f}/s")
    at_most("64 clients calling sleep(100 ms): p50", ours["sleep/c64"]["p50_us"] / 1000, "ms", 105)
    at_most("dtma, idle memory with 20 servers", ours["many"]["gateway_mib"], "MB", 20, "PSS")
    at_most("memory of one more session", ours["idle_sessions"]["gateway_mib_each"] * 1024, "KB", 20)
    at_most("dtma start to the first list of tools, server running", sorted(ours["startup_ms"])[len(ours["startup_ms"]) // 2], "ms", 150)
    return found


class Started:
    """A gateway that was started outside of the benchmark's run."""

    port = 21_000  # as run.py gave it to prepare

    def __init__(self, bench, command, token):
        self.loadgen, self.token = loadgen(bench), token
        self.process = subprocess.Popen(command, env={"DTMA_LOG": "error", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})

    def load(self, command, *options, servers=1):
        urls = [part for number in range(servers) for part in ("--url", self.url(number))]
        command = [self.loadgen, command, *urls, "--token", self.token, *map(str, options)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()[-1])

    def steady(self):
        """3,000 calls/s, whatever becomes of the ones before."""
        self.load("wait", "--timeout", 20, "--protocol", "2025-11-25")
        return self.load("load", "--rate", 3000, "--concurrency", 64, "--duration", 10, "--warmup", 2, "--protocol", "2025-11-25")

    def files(self):
        return len(list(pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def end(self):
        self.process.terminate()
        self.process.wait()


class Box(Started):
    """dtma as `prepare` left it."""

    def __init__(self, bench, state):
        folder = bench.scratch / "state" / state
        super().__init__(bench, [bench.dtma, "run", "--state", str(folder / "box")], (folder / "token").read_text())

    def url(self, number):
        return f"http://127.0.0.1:{self.port}/mcp/b{number:02}"


class Smallest(Started):
    def __init__(self, bench):
        backend = loadgen(bench).replace("-loadgen", "-backend")
        super().__init__(bench, [loadgen(bench), "floor", "--port", str(self.port), "--token", "t", "--", backend], "t")

    def url(self, number):
        return f"http://127.0.0.1:{self.port}/mcp"


def loadgen(bench):
    return str(bench.scratch / "target/release/gwbench-loadgen")


def measure_edges(bench, row, at_most):
    """What the benchmark's own cells do not have."""
    box = Box(bench, "dtma")
    steady, before = box.steady(), box.files()
    crowd = box.load("load", "--concurrency", 10_000, "--duration", 5, "--warmup", 1, "--protocol", "2026-07-28")
    time.sleep(5)
    at_most("files left open by 10,000 callers at once", box.files() - before, "", 0, f"{crowd['calls']} calls")
    at_most("calls of theirs that failed, or none was made", crowd["errors"] + (not crowd["calls"]), "", 0)
    box.end()
    smallest = Smallest(bench)
    least = smallest.steady()
    smallest.end()
    note = f"{steady['p99_us'] / 1000:.2f} ms against the smallest gateway's {least['p99_us'] / 1000:.2f} ms, {steady['errors']} errors"
    at_most("added p99 at an open-loop 3,000 calls/s", (steady["p99_us"] - least["p99_us"]) / 1000, "ms", 2, note)

    label = "label=agentopia.toolbox"
    running = subprocess.run(["docker", "ps", "-q", "--filter", label], stdout=subprocess.PIPE, text=True).stdout.split()
    subprocess.run(["docker", "kill", *running], stdout=subprocess.DEVNULL)
    started = time.monotonic()
    box = Box(bench, "dtma-many")
    box.load("wait", "--timeout", 90, "--protocol", "2025-11-25", servers=20)
    at_most("reboot to every one of 20 servers answering", time.monotonic() - started, "s", 60)
    box.end()
