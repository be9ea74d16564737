"""c10k's part of a Locust master: its workers are `c10k worker` on any number of machines.

    pip install locust hdrhistogram
    locust -f locustfile.py --master --headless --expect-workers 2 --host http://10.0.0.9:8080/ \
        --users 64 --spawn-rate 64 --run-time 30s --output result.json --hdr result.hlog

Locust's users are connections, and its spawn rate is the rate at which they are opened. The options
of this file have the names and the values of `c10k load`. Locust's own page shows rounded times; the
files have the exact ones of all workers, merged. The test fails, also by its exit status, if a check
of a worker fails or a worker was lost.
"""

import json
import math
import os
import sys
import time
import uuid
from collections import Counter

import gevent
from locust import User, events, task
from locust.dispatch import UsersDispatcher
from locust.runners import STATE_MISSING, MasterRunner

try:
    from hdrh.histogram import HdrHistogram
except ImportError:
    sys.exit("c10k: the package hdrhistogram is missing; run `pip install hdrhistogram`")

# Version of c10k's part of the messages between this file and `c10k worker`.
VERSION = 1

# Bounds of all histograms, in nanoseconds, and their significant digits (loadgen/src/times.rs).
BOUNDS = (1, 600_000_000_000, 3)

# Distributions, as they are called in a log and in JSON.
TIMES = ("latency", "service", "connect", "first_byte", "send_lag", "connect_wait", "response")

# Longest wait for the last reports of the workers, in seconds. They wait for responses, as long as
# `--timeout` says.
LAST_REPORTS_S = 60

# The test that runs, or the last one.
test = None


@events.init_command_line_parser.add_listener
def add_options(parser):
    add = parser.add_argument
    add("--rate", default="", help="c10k: open loop, requests per second of all workers together")
    add("--arrivals", choices=["constant", "poisson"], default="constant", help="c10k: spread of an open loop's requests")
    add("--seed", default="1", help="c10k: seed of random arrivals")
    add("--lifetime", default="persistent", help="c10k: requests per connection")
    add("--warmup", default="1s", help="c10k: traffic before the measured part; with 0s, every request counts")
    add("--timeout", default="5s", help="c10k: time after which a request without a response has failed")
    add("--method", default="GET", help="c10k: method of the requests")
    add("--body", default="", help="c10k: body of the requests")
    add("--header", action="append", default=[], help="c10k: header field of the requests", include_in_web_ui=False)
    add("--output", default="", help="c10k: file for the result in JSON", include_in_web_ui=False)
    add("--hdr", default="", help="c10k: file for the HdrHistogram log", include_in_web_ui=False)


class Connection(User):
    """A connection of `c10k worker`; Locust's own workers can't run it."""

    @task
    def send(self):
        sys.exit("c10k: this locustfile is for a master; start `c10k worker --master HOST:5557` as its worker")


class AtOnce(UsersDispatcher):
    """Tells each worker its users at once. The workers keep to the spawn rate when they connect:
    a generator whose number of connections changes each second measures nothing."""

    environment = None

    def new_dispatch(self, target_user_count, spawn_rate, user_classes=None):
        self.users_per_s = spawn_rate
        super().new_dispatch(target_user_count, max(spawn_rate, target_user_count), user_classes)

    def __next__(self):
        users = super().__next__()
        workers = [worker for worker, counts in users.items() if sum(counts.values()) > 0]
        # Locust sends its options with each spawn.
        options = self.environment.parsed_options
        connections = sum(sum(counts.values()) for counts in users.values())
        options.c10k = test.plan(workers, connections, self.users_per_s, options)
        return users


@events.init.add_listener
def prepare(environment, runner, **_):
    if not isinstance(runner, MasterRunner):
        sys.exit("c10k: this locustfile is for a master; give Locust --master")
    options = environment.parsed_options
    for name, kind in (("rate", float), ("seed", int)):
        text = getattr(options, name)
        try:
            kind(text or 0)
        except ValueError:
            sys.exit(f"c10k: --{name} is {text!r}; write a number")
    for path in filter(None, (options.output, options.hdr)):
        folder = os.path.dirname(path) or "."
        if not os.access(folder, os.W_OK):
            sys.exit(f"c10k: cannot write {path}: see whether the folder {folder} exists")
    AtOnce.environment = environment
    environment.dispatcher_class = AtOnce


@events.test_start.add_listener
def begin(environment, **_):
    global test
    test = Test()


@events.worker_report.add_listener
def take_report(client_id, data):
    part = data.get("c10k")
    if test and part and part["run"] == test.run:
        test.take(client_id, part)


@events.test_stopping.add_listener
def finish(environment, **_):
    """Lets the workers end their load and report all of it, before Locust stops them: it waits half
    a second for the last statistics, and a request may take longer."""
    if not test or test.is_ending:
        return
    test.is_ending = True
    runner = environment.runner
    runner.send_message("c10k_finish")
    deadline = time.monotonic() + LAST_REPORTS_S

    def is_awaited(worker):
        client = runner.clients.get(worker)
        return client is not None and client.state != STATE_MISSING and worker not in test.finished

    while any(map(is_awaited, test.asked)) and time.monotonic() < deadline:
        gevent.sleep(0.02)


@events.quitting.add_listener
@events.test_stop.add_listener
def write(environment, **_):
    if not test or test.is_written:
        return
    test.is_written = True
    options = environment.parsed_options
    result = test.result(environment.host)
    faults = [f"{check['name']}: {check['detail']}" for check in result["checks"] if check["verdict"] == "fail"]
    if options.output:
        write_whole(options.output, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    if options.hdr:
        write_whole(options.hdr, test.log())
    requests, latency = result["requests"], result["latency_us"]
    print(
        f"c10k: {requests['completed']} requests completed of {requests['intended']}, "
        f"{result['throughput_rps']:.0f}/s, latency p50 {latency['p50']:.0f} µs, p99 {latency['p99']:.0f} µs",
        file=sys.stderr,
    )
    for fault in faults:
        print(f"c10k: the result is not valid: {fault}", file=sys.stderr)
    environment.process_exit_code = 1 if faults else None


class Test:
    """One test: what its workers were told, and what they have reported."""

    def __init__(self):
        self.run = uuid.uuid4().hex
        self.begun_s = time.time()
        self.segments = 0
        self.is_ending = False
        self.is_written = False
        # Workers that were given users, in the order in which they were, and those that have
        # reported everything.
        self.asked = {}
        self.finished = set()
        self.programs = {}
        # Workers of the last spawn, and the load of each spawn that differs from the one before.
        self.workers = []
        self.changes = []
        # Results of each load, by worker and number of the spawn.
        self.loads = {}

    def plan(self, workers, connections, users_per_s, options):
        self.asked.update(dict.fromkeys(workers))
        self.workers = workers
        plan = {
            "version": VERSION,
            "run": self.run,
            "segment": self.segments,
            "workers": workers,
            "connect_rate": float(users_per_s),
            "rate": float(options.rate) if options.rate else None,
            "seed": int(options.seed),
            "headers": list(options.header),
        }
        for name in ("arrivals", "lifetime", "warmup", "timeout", "method", "body"):
            plan[name] = getattr(options, name)
        load = f"{connections} connections" + (f" at {plan['rate']:g} requests/s" if plan["rate"] else "")
        if [load] != self.changes[-1:]:
            self.changes.append(load)
        self.segments += 1
        return plan

    def take(self, worker, part):
        self.programs[worker] = part["program"]
        if part["log"] or part["summary"]:
            load = self.loads.setdefault((worker, part["segment"]), Load())
            load.take(part, time.time() - self.begun_s)
        if part["finished"]:
            self.finished.add(worker)

    def result(self, host):
        loads = {key: load for key, load in self.loads.items() if load.summary}
        checks = merged_checks(loads)
        checks += [self.all_reported(), self.all_counted(), self.same_programs(), self.one_load()]
        last = {worker: load.summary for (worker, _), load in sorted(loads.items(), key=lambda item: item[0][1])}
        return merged(host, loads, [last[worker] for worker in self.workers if worker in last], checks)

    def all_reported(self):
        lost = [worker for worker in self.asked if worker not in self.finished]
        if lost:
            return check("workers", "fail", f"{', '.join(lost)} was lost before the end, and its results are missing")
        if not self.asked:
            return check("workers", "fail", "no worker had a connection to open: raise --users, or start workers")
        return check("workers", "pass", f"all {len(self.asked)} workers reported to the end")

    def all_counted(self):
        """The logs come in parts, and the summary is of the whole: both must agree."""
        wrong = [worker for (worker, _), load in self.loads.items() if not load.is_whole()]
        if wrong:
            return check("reports", "fail", f"reports of {', '.join(sorted(set(wrong)))} were lost on the way")
        return check("reports", "pass", "the histograms have as many values as the summaries")

    def same_programs(self):
        programs = sorted(set(self.programs.values()))
        if len(programs) > 1:
            return check("versions", "fail", f"workers are of different versions, {' and '.join(programs)}: update them")
        return check("versions", "pass", f"all workers are c10k {''.join(programs)}")

    def one_load(self):
        """Workers may come and go, but percentiles of several loads together describe none of them."""
        if len(self.changes) > 1:
            return check("one-load", "fail", f"the load was changed, {' to '.join(self.changes)}: `workers` has the results of each")
        return check("one-load", "pass", f"the load was {''.join(self.changes)} from the beginning to the end")

    def log(self):
        """The lines of all workers, with times relative to the beginning of the test."""
        begun = f"{self.begun_s:.3f}"
        lines = [
            "#[Histogram log format version 1.3]",
            "#[Values are nanoseconds, written by c10k; the lines of a tag add up]",
            f"#[StartTime: {begun} (seconds since epoch)]",
            f"#[BaseTime: {begun} (seconds since epoch)]",
            '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
        ]
        placed = [(load.began_s + begin, tag, rest) for load in self.loads.values() for tag, begin, rest in load.lines]
        placed.sort(key=lambda line: line[0])
        lines += [f"{tag},{begin:.3f},{rest}" for begin, tag, rest in placed]
        return "\n".join(lines) + "\n"


class Load:
    """Results of one load of a worker."""

    def __init__(self):
        # Beginning, in seconds from that of the test, as exact as a report is late.
        self.began_s = None
        # Tag, beginning and the rest of each line of the log.
        self.lines = []
        self.histograms = {}
        self.summary = None

    def take(self, part, now_s):
        for line in part["log"].splitlines():
            tag, begin, rest = line.split(",", 2)
            length, _, histogram = rest.split(",")
            self.lines.append((tag, float(begin), rest))
            self.began_s = self.began_s or now_s - float(begin) - float(length)
            self.of(tag.removeprefix("Tag=")).decode_and_add(histogram)
        if part["summary"]:
            self.summary = json.loads(part["summary"])

    def of(self, name):
        return self.histograms.setdefault(name, HdrHistogram(*BOUNDS))

    def is_whole(self):
        # Ages of requests do not count if none was answered.
        if not self.summary or not self.summary["requests"]["completed"]:
            return True
        return all(self.of(name).get_total_count() == self.summary[f"{name}_us"]["count"] for name in TIMES)


def check(name, verdict, detail):
    return {"name": name, "verdict": verdict, "detail": detail}


def merged_checks(loads):
    """The worst outcome of each check, with the worker that had it."""
    worst = {}
    for (worker, _), load in loads.items():
        for outcome in load.summary["checks"]:
            rank = ("pass", "warn", "fail").index(outcome["verdict"])
            if outcome["name"] not in worst or rank > worst[outcome["name"]][0]:
                worst[outcome["name"]] = rank, {**outcome, "detail": f"{worker}: {outcome['detail']}"}
    return [outcome for _, outcome in worst.values()]


def merged(host, loads, last, checks):
    """One result in the format of `c10k load --json`. What can't be merged exactly is left out: it is
    in the results of the workers, under `workers`. `last` are the workers' results of the last spawn."""
    summaries = [load.summary for load in loads.values()]
    spent_s = Counter()
    for (worker, _), load in loads.items():
        spent_s[worker] += load.summary["duration_s"]
    duration_s = max(spent_s.values(), default=0.0)
    requests = {"intended": 0, "sent": 0, "completed": 0, "failed": 0, "in_flight_at_end": 0, **added(summaries, "requests")}
    errors = {"connect": 0, "reset": 0, "timeout": 0, "status": 0, "protocol": 0, **added(summaries, "errors")}
    connections = {"requested": 0, "established": 0, "served": 0, "starved": 0, **added(last, "connections")}
    connections["opened_total"] = sum(summary["connections"]["opened_total"] for summary in summaries)
    offered = [summary["offered_rps"] for summary in last if "offered_rps" in summary]
    counts = {name: counts_of(loads, name) for name in (*TIMES, "unanswered")}
    if not requests["completed"]:
        # Ages of requests are no latencies then.
        counts = {name: counts[name] if name == "send_lag" else {} for name in counts}
    result = {
        "version": 1,
        "target": host or "",
        "workload": merged_workload(last),
        "loop": "open" if offered else "closed",
        "offered_rps": sum(offered),
        "throughput_rps": requests["completed"] / duration_s if duration_s else 0.0,
        "duration_s": duration_s,
        "requests": requests,
        "connections": connections,
        "errors": errors,
        "error_examples": {kind: text for summary in summaries for kind, text in summary.get("error_examples", {}).items()},
        "status_codes": added(summaries, "status_codes"),
        "bytes": {"read": 0, "written": 0, **added(summaries, "bytes")},
        "generator_limits": added(summaries, "generator_limits"),
        "generator": merged_generator(loads),
    }
    failed = errors["reset"] + errors["status"] + errors["protocol"]
    without_time = {"connect": errors["connect"], "send_lag": 0, "connect_wait": 0}
    for name in TIMES:
        result[f"{name}_us"] = percentiles(counts[name], without_time.get(name, failed))
    bounds = lower_bounds(counts["latency"], counts["unanswered"])
    for name in ("latency_us", "response_us") if bounds else ():
        result[name]["lower_bounds"] = bounds
    result["workers"] = [{"worker": worker, "segment": segment, **load.summary} for (worker, segment), load in loads.items()]
    result["checks"] = checks
    result["valid"] = all(outcome["verdict"] != "fail" for outcome in checks)
    # A key that does not apply is absent.
    absent = {name for name in ("workload", "error_examples", "status_codes", "generator_limits") if not result[name]}
    absent |= set() if offered else {"offered_rps"}
    return {key: value for key, value in result.items() if key not in absent}


def counts_of(loads, name):
    """The number of each value, over all loads; a value is the highest one that counts as equal."""
    whole = HdrHistogram(*BOUNDS)
    for load in loads.values():
        if load.of(name).get_total_count():
            whole.decode_and_add(load.of(name).encode())
    return {item.value_iterated_to: item.count_at_value_iterated_to for item in whole.get_recorded_iterator()}


def added(summaries, key):
    sums = Counter()
    for summary in summaries:
        for name, count in summary.get(key, {}).items():
            sums[name] += count
    return dict(sums)


def merged_workload(last):
    """The settings of the workers of the last spawn: the same for all, but for the shares."""
    shared = ("connections", "idle", "threads", "rate_rps", "connect_rate")
    workload = dict(last[0]["workload"]) if last else {}
    workload.update({key: sum(summary["workload"][key] for summary in last) for key in shared if key in workload})
    return workload


def merged_generator(loads):
    """The sums of all workers, and each of them."""
    spent = ("user_s", "system_s", "cpu_wait_s")
    each = {}
    for (worker, _), load in loads.items():
        generator = each.setdefault(worker, dict.fromkeys(("threads", *spent), 0))
        generator["threads"] = load.summary["generator"]["threads"]
        for key in spent:
            generator[key] += load.summary["generator"].get(key, 0)
    return {**{key: sum(generator[key] for generator in each.values()) for key in ("threads", *spent)}, "workers": each}


# Percentiles that are reported, with their quantiles (loadgen/src/bound.rs).
TOLD = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0))

# Relative distance by which a percentile may be below its estimate (loadgen/src/bound.rs).
TOLERANCE = 0.05


def percentiles(counts, failed):
    """A distribution in a few numbers, in microseconds; counts are by the highest equivalent value.
    hdrhistogram's own percentiles round the rank to the nearest one, and those of c10k round it up."""
    count = sum(counts.values())
    if not count:
        return dict.fromkeys(("count", "min", "mean", *(name for name, _ in TOLD)), 0)
    scale = HdrHistogram(*BOUNDS)
    least = scale.get_lowest_equivalent_value(min(counts))
    middle = scale._hdr_median_equiv_value
    mean = math.fsum(middle(value) * number for value, number in counts.items()) / count
    told = {name: quantile_of(counts, count, quantile) / 1e3 for name, quantile in TOLD}
    known = {"known_to": count / (failed + count)} if failed else {}
    return {"count": count, "min": least / 1e3, "mean": mean / 1e3, **told, **known}


def quantile_of(counts, count, quantile):
    rank = max(math.ceil(quantile * count), 1)
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    return 0


def lower_bounds(latency, unanswered):
    """Percentiles that rest on requests without a response, as loadgen/src/bound.rs finds them: by
    the product-limit estimate (Kaplan and Meier 1958)."""
    if not latency or not unanswered:
        return []
    at_risk, surviving, steps = float(sum(latency.values())), 1.0, []
    for value in sorted(latency):
        answered = latency[value] - unanswered.get(value, 0)
        if answered > 0:
            surviving *= 1.0 - answered / at_risk
            steps.append((value, surviving))
        at_risk -= latency[value]
    count = sum(latency.values())

    def is_bound(quantile):
        beyond = (1.0 - quantile) * (1.0 + 1e-9)
        estimate = next((value for value, share in steps if share <= beyond), None)
        return estimate is None or estimate > quantile_of(latency, count, quantile) * (1.0 + TOLERANCE)

    lowest = next((quantile for _, quantile in TOLD if is_bound(quantile)), None)
    return [] if lowest is None else [name for name, quantile in TOLD if quantile >= lowest]


def write_whole(path, text):
    """Replaces a file with the text, whole or not at all."""
    beside = f"{path}.{os.getpid()}.tmp"
    with open(beside, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(beside, path)
