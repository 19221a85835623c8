#!/usr/bin/env python3
"""Measures the cost of pyhookwatch on a busy machine, compared with inotifywait on the same tree.

    benches/noise.py [--rounds N] [--files N] [--dirs N] [--hooks N] [--binary FILE] [--json]

Needs root, Linux, Python 3, `cargo build --release` before it; inotifywait (Debian: inotify-tools) for
the comparison, a C compiler for a writer that is not itself the load (without one: Python).

Measurements
 1. Noise. One process creates, writes and closes FILES small files, 4 of 1,000 of them hooks, in
    100 directories. Per watcher: its CPU time a file (the process's CPU clock, all threads, in
    nanoseconds, until it is idle again), the writer's time as a ratio to a run without a watcher, the
    peak of its resident memory, and how many of the hooks it reported.
 2. A large tree. Resident memory, and time from the start to ready, with DIRS directories.
 3. Hooks only. pyhookwatch's CPU per hook when all of HOOKS files are hooks: once as fast as the
    writer can, once with a pause after each (then no changes share a batch).
Each round runs every watcher once, in another order; medians over the rounds are shown.

The tree is an ext4 image in memory (--scratch), mounted for the run: other work on the machine makes
no events in it. The run raises fs.inotify.max_user_watches and restores it.

Limits: on shared or few cores all times are noisy: trust the ratios. The kernel queues events on the
writer's CPU time: that is part of the slowdown, not of the watcher's CPU. No figure has the kernel's
memory (inotify pins an inode for each watch, some 100 MB with 100,000 directories). A hook costs more
if its writer has more ancestors; here the shell and its ancestors count too.

Exit: 0 targets met, 1 one was missed, 2 it could not be measured.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

# writer.c in Python, for machines without a C compiler.
WRITER_PYTHON = """
import os, sys, time
files, directories, every, pause = map(int, sys.argv[1:])
start = time.perf_counter_ns()
for i in range(files):
    n = i // every
    path = (f"noise/{i % directories}/file-{i}.o" if i % every else
            f"venv/{n}/lib/python3/site-packages/sitecustomize.py" if n % 2 else f"lib/python3/site-packages/x{n}.pth")
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    os.write(fd, b"import os\\n")
    os.close(fd)
    if pause: time.sleep(pause / 1e6)
print(time.perf_counter_ns() - start)
"""
DIRECTORIES = 100
HOOK_EVERY = 250
PAUSE_US = 2000
EVENTS = "create,modify,close_write,moved_to"
MAX_WATCHES = pathlib.Path("/proc/sys/fs/inotify/max_user_watches")
TARGET_CPU, TARGET_MEMORY, TARGET_READY_MS = 1.0, 0.2, 50.0


class Watcher:
    """A watcher process, started and ready."""

    def __init__(self, name, bench):
        self.output, errors = bench.scratch / "output", bench.scratch / "errors"
        self.output.unlink(missing_ok=True)
        tree = str(bench.tree)
        command = {
            "pyhookwatch": [bench.binary, "run", "--root", tree, "--output", f"file:{self.output}", "--format", "ecs"],
            "inotifywait": ["inotifywait", "-m", "-r", "-e", EVENTS, "-o", str(self.output), tree],
            "inotifywait, all events": ["inotifywait", "-m", "-r", "-o", str(self.output), tree],
        }[name]
        sign = b"ready:" if name == "pyhookwatch" else b"Watches established."
        with errors.open("wb") as sink:
            start = time.perf_counter()
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=sink, stdin=subprocess.DEVNULL)
        self.pid = self.process.pid
        while sign not in errors.read_bytes():
            if self.process.poll() is not None or time.perf_counter() - start > 300:
                self.stop()
                raise RuntimeError(f"{name} did not get ready:\n{errors.read_text()}")
            time.sleep(0.0002)
        self.ready_ms = (time.perf_counter() - start) * 1000

    def cpu(self):
        """CPU time in nanoseconds: the clock of clock_getcpuclockid(3), all threads, ended ones too."""
        return time.clock_gettime_ns((~self.pid << 3) | 2)

    def memory(self, field="VmRSS"):
        """KiB."""
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(field + ":")))

    def wait_until_idle(self):
        deadline, last, since = time.monotonic() + 60, None, 0.0
        while time.monotonic() < deadline:
            state = (self.cpu(), self.output.stat().st_size if self.output.exists() else 0)
            if last is None or state[0] - last[0] > 300_000 or state[1] != last[1]:
                last, since = state, time.monotonic()
            elif time.monotonic() - since > 0.7:
                return
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    """The tree, the writer, and one measurement at a time."""

    def __init__(self, arguments, scratch):
        self.scratch, self.tree, self.binary = scratch, scratch / "tree", arguments.binary
        source, program = pathlib.Path(__file__).with_name("writer.c"), scratch / "writer"
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler:
            subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
        self.writer = [str(program)] if compiler else [sys.executable, "-c", WRITER_PYTHON]

    def clear(self, hook_directories=None):
        """Removes the written files, and makes the directories of the next run."""
        for entry in self.tree.iterdir():
            if entry.name != "lost+found":
                shutil.rmtree(entry)
        (self.tree / "lib/python3/site-packages").mkdir(parents=True)
        for number in range(DIRECTORIES):
            (self.tree / "noise" / str(number)).mkdir(parents=True)
        for number in range(hook_directories or 0):
            (self.tree / f"venv/{number}/lib/python3/site-packages").mkdir(parents=True)
        os.sync()

    def write(self, files, every, pause=0):
        """Milliseconds."""
        command = [*self.writer, str(files), str(DIRECTORIES), str(every), str(pause)]
        return int(subprocess.run(command, cwd=self.tree, check=True, capture_output=True).stdout) / 1e6

    def reported(self, name, output):
        """The number of reported hooks, each counted once, and of other records (losses)."""
        paths, losses = set(), 0
        for line in output.read_text(errors="replace").splitlines() if output.exists() else []:
            if name == "pyhookwatch":
                path = json.loads(line).get("file", {}).get("path")
                losses += path is None
            else:
                directory, events, file = line.split(" ", 2)
                path = directory + file if "CLOSE_WRITE" in events else None
            if path and (path.endswith(".pth") or path.endswith("sitecustomize.py")):
                paths.add(path)
        return len(paths), losses

    def noise(self, name, files, every, pause=0):
        hooks = -(-files // every)
        self.clear(hooks)
        if name == "bare":
            return {"wall_ms": self.write(files, every, pause)}
        watcher = Watcher(name, self)
        try:
            watcher.wait_until_idle()
            before = watcher.cpu()
            wall = self.write(files, every, pause)
            watcher.wait_until_idle()
            spent, peak = watcher.cpu() - before, watcher.memory("VmHWM")
        finally:
            watcher.stop()
        seen, losses = self.reported(name, watcher.output)
        return {"wall_ms": wall, "cpu_us": spent / files / 1000, "hooks": hooks, "seen": seen, "losses": losses, "peak_kib": peak}

    def large_tree(self, name):
        watcher = Watcher(name, self)
        try:
            time.sleep(0.2)
            return {"ready_ms": watcher.ready_ms, "rss_kib": watcher.memory(), "anonymous_kib": watcher.memory("RssAnon")}
        finally:
            watcher.stop()


@contextlib.contextmanager
def scratch_tree(parent, inodes):
    """A directory with an ext4 image mounted at `tree` in it, and inotify's limit raised; all undone."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="noise-bench-", dir=parent))
    watches = MAX_WATCHES.read_text()
    try:
        (scratch / "tree").mkdir()
        with (scratch / "image").open("wb") as image:
            image.truncate(4 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-N", str(inodes), str(scratch / "image")], check=True)
        subprocess.run(["mount", "-o", "loop,noatime", str(scratch / "image"), str(scratch / "tree")], check=True)
        if int(watches) < inodes:
            MAX_WATCHES.write_text(str(inodes))
        yield scratch
    finally:
        MAX_WATCHES.write_text(watches)
        if os.path.ismount(scratch / "tree"):
            subprocess.run(["umount", "-l", str(scratch / "tree")], check=True)
        shutil.rmtree(scratch)


def in_rounds(rounds, names, measure):
    """{name: [result of each round]}, every round in another order."""
    results = {name: [] for name in names}
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            results[name].append(measure(name))
    return results


def measure(arguments, bench):
    """All figures, as medians: {part: {watcher: {figure: number}}}."""
    median = lambda results, key: statistics.median(result[key] for result in results if key in result)
    peers = ["pyhookwatch"] + (["inotifywait", "inotifywait, all events"] if shutil.which("inotifywait") else [])
    report = {"noise": {}, "tree": {}, "hooks": {}}
    runs = in_rounds(arguments.rounds, ["bare", *peers], lambda name: bench.noise(name, arguments.files, HOOK_EVERY))
    for name in peers:
        report["noise"][name] = {key: median(runs[name], key) for key in ("cpu_us", "peak_kib")} | {
            "slowdown": statistics.median(run["wall_ms"] / bare["wall_ms"] for run, bare in zip(runs[name], runs["bare"])),
            "hooks": sum(run["hooks"] for run in runs[name]), "seen": sum(run["seen"] for run in runs[name]),
            "cpu_us_rounds": [round(run["cpu_us"], 2) for run in runs[name]],
        }
    for label, pause in [("as fast as possible", 0), (f"{PAUSE_US / 1000:g} ms apart", PAUSE_US)]:
        runs = [bench.noise("pyhookwatch", arguments.hooks, 1, pause) for _ in range(min(3, arguments.rounds))]
        report["hooks"][label] = {key: median(runs, key) for key in ("cpu_us", "peak_kib", "hooks", "seen", "losses")}
    bench.clear()
    for number in range(arguments.dirs):
        os.makedirs(bench.tree / f"{number // 1000}/{number % 1000}", exist_ok=True)
    runs = in_rounds(max(3, arguments.rounds // 2), peers[:2], bench.large_tree)
    for name in peers[:2]:
        report["tree"][name] = {key: median(runs[name], key) for key in ("ready_ms", "rss_kib", "anonymous_kib")}
    return report


def missed(report):
    """Targets that were missed, in words."""
    noise, tree = report["noise"], report["tree"]
    ours = noise["pyhookwatch"]
    found = [] if ours["seen"] == ours["hooks"] else [f"{ours['hooks'] - ours['seen']} hooks were not reported"]
    if tree["pyhookwatch"]["ready_ms"] >= TARGET_READY_MS:
        found.append(f"ready only after {TARGET_READY_MS} ms")
    if "inotifywait" in noise:
        if ours["cpu_us"] > noise["inotifywait"]["cpu_us"] * TARGET_CPU:
            found.append("more CPU than inotifywait")
        if tree["pyhookwatch"]["rss_kib"] > tree["inotifywait"]["rss_kib"] * TARGET_MEMORY:
            found.append("more than a fifth of inotifywait's memory")
    return found


def show(report):
    line = "{:34}" + "{:>14}" * 5
    print(line.format("noise", "CPU us/file", "slowdown", "peak RSS KiB", "hooks", "reported"))
    for name, row in report["noise"].items():
        print(line.format(name, f"{row['cpu_us']:.2f}", f"{row['slowdown']:.2f}", f"{row['peak_kib']:.0f}", row["hooks"], row["seen"]))
    print("\n" + line.format("large tree", "ready ms", "RSS KiB", "of it anon", "", ""))
    for name, row in report["tree"].items():
        print(line.format(name, f"{row['ready_ms']:.1f}", f"{row['rss_kib']:.0f}", f"{row['anonymous_kib']:.0f}", "", ""))
    print("\n" + line.format("hooks only (pyhookwatch)", "CPU us/hook", "peak RSS KiB", "hooks", "reported", "losses"))
    for name, row in report["hooks"].items():
        print(line.format(name, f"{row['cpu_us']:.1f}", f"{row['peak_kib']:.0f}", *(f"{row[key]:.0f}" for key in ("hooks", "seen", "losses"))))
    for part, key in [("noise", "cpu_us"), ("tree", "rss_kib"), ("tree", "ready_ms")]:
        if "inotifywait" in report[part]:
            ratio = report[part]["pyhookwatch"][key] / report[part]["inotifywait"][key]
            print(f"{'' if key != 'cpu_us' else chr(10)}pyhookwatch / inotifywait, {key}: {ratio:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    target = os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).resolve().parent.parent / "target")
    for name, default in [("rounds", 7), ("files", 10_000), ("dirs", 100_000), ("hooks", 5_000)]:
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    parser.add_argument("--binary", default=f"{target}/release/pyhookwatch")
    parser.add_argument("--scratch", default="/dev/shm", help="where the image is made (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # by an exception, so that all is undone
    inodes = 2 * arguments.dirs + arguments.files + 6 * arguments.hooks + 10_000
    try:
        with scratch_tree(arguments.scratch, inodes) as scratch:
            report = measure(arguments, Bench(arguments, scratch))
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 2
    report["missed"] = missed(report)
    print(json.dumps(report, indent=2)) if arguments.json else show(report)
    for target in report["missed"]:
        print(f"MISSED: {target}", file=sys.stderr)
    return 1 if report["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
