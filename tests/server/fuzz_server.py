"""Malformed requests against a running `galvatron visualize`: none may crash it, hang it, or get anything but an answer
of its description; a request that is no good gets a 4xx with one sentence.

    tests/server/fuzz_server.py --count 10000 --seed 1 --binary build/planner-asan/bin/galvatron

Half of them are made by schemathesis from docs/openapi.json, half by changing the bytes of good requests. Where the
binary is built with sanitizers, what these say is a failure too.
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from schemathesis.generation import GenerationMode
from visualizer_testing import BINARY, SOURCE_DIR, Visualizer, question

PATIENCE = 60.0  # seconds; a sanitized build is slow
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
# What parsers and arithmetic stumble over.
WORDS = [
    b"", b"\0", b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\r\n", b"\r\n\r\n", b"\n", b" ", b"{", b"}", b"[", b"]" * 9, b'"',
    b"\\", b"\\u0000", b"\\ud800", b"[" * 5000, b'{"a":' * 200, b"null", b"true", b"NaN", b"Infinity", b"-0", b"-1",
    b"0.5", b"1e999", b"1e-999", b"999999999999999999999", b"-9223372036854775808", b"9223372036854775807",
    b"2147483648",
    b"1048577", b"../../etc/passwd", b"/etc/passwd", b"%00", b"%2e%2e%2f", b"{id}", b"A" * 300, b"A" * 20000,
    b"<script>",
]  # fmt: skip
HEADERS = [
    b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 18446744073709551616",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Content-Encoding: gzip", b"Expect: 100-continue",
    b"Accept-Encoding: gzip;q=;;,", b"Accept: text/html",
    b"Connection: close", b"Upgrade: websocket", b"Host: evil.example", b"Origin: null", b"Range: bytes=0-1,2-3",
    b"Content-Type: multipart/form-data; boundary=x", b"Cookie: galvatron_1=1", b"X: " + b"y" * 9000, b": nothing",
    b"no colon",
]  # fmt: skip


class Findings:
    def __init__(self) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.slowest = 0.0

    def add(self, what: str, status: int | None, seconds: float) -> None:
        self.statuses[f"{what} {status or 'closed'}"] += 1
        self.slowest = max(self.slowest, seconds)

    def fail(self, what: str) -> None:
        self.failures.append(what[:2000])


def check_refusal(findings: Findings, status: int, body: bytes, request: object) -> None:
    """Every refusal is a 4xx with one sentence."""
    if status < 400:
        return
    if status >= 500:
        findings.fail(f"status {status} {body[:300]!r} for {request!r}")
    try:
        sentence = json.loads(body)["error"]["sentence"]
    except (ValueError, KeyError, TypeError):
        findings.fail(f"status {status} without a sentence, {body[:300]!r}, for {request!r}")
        return
    if not sentence or "\n" in sentence or "\r" in sentence:
        findings.fail(f"status {status} with {sentence!r} for {request!r}")


def small_question() -> dict[str, Any]:
    return question(world_size=4, global_batch="8", seq_length=64, time_limit=1)


def some_plan(visualizer: Visualizer) -> dict[str, Any]:
    lines = visualizer.post("/api/search", {"question": small_question(), "explain": False}).lines()
    plan: dict[str, Any] = lines[-1]["result"]["best"]["plan"]
    plan.pop("search", None)
    return plan


def good_requests(visualizer: Visualizer) -> list[tuple[str, str, Any]]:
    plan = {"name": "plan.json", "plan": some_plan(visualizer)}
    asked = {"question": small_question()}
    return [
        ("GET", "/", None),
        ("GET", "/api/start", None),
        ("GET", "/api/run/0", None),
        ("POST", "/api/identify", {"name": "plan.json", "text": json.dumps(plan["plan"])}),
        ("POST", "/api/identify", {"files": {"config.json": '{"model_type": "gpt2", "n_layer": 3}'}}),
        ("POST", "/api/plan", {**asked, "plan": plan}),
        ("POST", "/api/timeline", {**asked, "plan": plan, "max_events": 100}),
        ("POST", "/api/memory", {**asked, "plan": plan, "pp_rank": 0}),
        ("POST", "/api/compare", {**asked, "one": plan, "other": plan}),
        ("POST", "/api/export", {**asked, "plan": plan}),
        ("POST", "/api/search", {**asked, "explain": False}),
        ("POST", "/api/sweep", {"question": question(world_size=[2], seq_length=[64], time_limit=1)}),
    ]


def schema_cases(visualizer: Visualizer, count: int, seed: int, findings: Findings) -> None:
    """Requests by the description, most of them against it."""
    logging.disable(logging.WARNING)
    description = schemathesis.openapi.from_path(SOURCE_DIR / "docs" / "openapi.json")
    operations = [found.ok() for found in description.get_all_operations()]
    share = count // len(operations) + 1
    base = f"http://127.0.0.1:{visualizer.port}"
    for index, operation in enumerate(operations):

        def check(case: schemathesis.Case) -> None:
            start = time.monotonic()
            response = case.call(base_url=base, timeout=PATIENCE)
            findings.add("schema", response.status_code, time.monotonic() - start)
            check_refusal(findings, response.status_code, response.content, case)

        strategy = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        if operation.method.lower() == "get":
            strategy = operation.as_strategy()
        settings = hypothesis.settings(
            max_examples=share,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.seed(seed + index)(settings(hypothesis.given(case=strategy)(check)))()


def nodes_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value, as container and key."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from nodes_of(value[key])


def mutated_value(random_: random.Random, value: Any) -> Any:
    value = json.loads(json.dumps(value))
    for _ in range(random_.randint(1, 3)):
        container, key = random_.choice(list(nodes_of(value)) or [(value, None)])
        if key is None:
            return value
        kind = random_.randrange(5)
        if kind == 0 and isinstance(container, dict):
            container[random_.choice(["x", "", "num_layers", "tp_degree", "name", "A" * 300])] = container.pop(key)
        elif kind == 1:
            del container[key]
        elif kind == 2 and isinstance(container[key], (int, float)):
            container[key] = random_.choice([0, -1, 3, 7, 1 << 20, 1 << 31, 10**9, 10**18, 1e300, 0.5, -0.0])
        else:
            strange = [
                None,
                True,
                -1,
                0,
                3,
                1 << 62,
                1e308,
                "",
                "x",
                "\0",
                "é" * 100,
                [],
                {},
                [[]],
                "1e9",
                "8x8x8xA100",
            ]
            container[key] = random_.choice(strange)
    return value


def mutated_bytes(random_: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(out) + 1)
        kind = random_.randrange(5)
        if kind == 0 and at < len(out):
            out[at] = random_.randrange(256)
        elif kind == 1:
            out[at:at] = random_.choice(WORDS)
        elif kind == 2:
            del out[at : at + random_.randint(1, 40)]
        elif kind == 3:
            out[at : at + random_.randint(1, 10)] = random_.choice(WORDS)
        else:
            out[at:at] = out[at : at + random_.randint(1, 200)]
    return bytes(out)


def head_of(method: str, path: str, port: int, size: int) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
    if method == "POST":
        head += f"Content-Type: application/json\r\nContent-Length: {size}\r\n"
    return head.encode() + b"\r\n"


def mutated_request(random_: random.Random, port: int, method: str, path: str, body: Any) -> bytes:
    if body is not None and random_.random() < 0.4:
        content = json.dumps(mutated_value(random_, body)).encode()
        return head_of(method, path, port, len(content)) + content
    content = b"" if body is None else json.dumps(body).encode()
    if body is not None and random_.random() < 0.5:
        content = mutated_bytes(random_, content)
        return head_of(method, path, port, len(content)) + content
    head = head_of(method, path, port, len(content))
    if random_.random() < 0.5:
        lines = head.split(b"\r\n")
        lines.insert(random_.randint(1, len(lines) - 2), random_.choice(HEADERS))
        return b"\r\n".join(lines) + content
    return mutated_bytes(random_, head) + content


def first_body(answer: bytes) -> bytes:
    """Where a request ended early, answers to the rest of it follow."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return rest[: int(length[1])] if length else rest


def byte_cases(visualizer: Visualizer, count: int, seed: int, findings: Findings) -> None:
    random_ = random.Random(seed)
    good = good_requests(visualizer)
    for _ in range(count):
        request = mutated_request(random_, visualizer.port, *random_.choice(good))
        start = time.monotonic()
        try:
            answer = visualizer.send(request, PATIENCE)
        except ConnectionError:
            answer = b""
        except TimeoutError:
            findings.fail(f"no answer in {PATIENCE} s for {request!r}")
            continue
        status = STATUS.match(answer)
        findings.add("bytes", int(status[1]) if status else None, time.monotonic() - start)
        if answer and not status:
            findings.fail(f"{answer[:200]!r} for {request!r}")
        if status:
            check_refusal(findings, int(status[1]), first_body(answer), request)


def fuzz(binary: Path, count: int, seed: int) -> Findings:
    findings = Findings()
    visualizer = Visualizer("--time-limit", 20, binary=binary)
    schema_cases(visualizer, count // 2, seed, findings)
    byte_cases(visualizer, count - count // 2, seed, findings)
    if visualizer.get("/api/start").status != 200:
        findings.fail("it no longer answers")
    code, errors = visualizer.end()
    if code != 0 or errors:
        findings.fail(f"it ended with {code} and said {errors[-4000:]}")
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=BINARY)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    start = time.monotonic()
    findings = fuzz(arguments.binary, arguments.count, arguments.seed)
    for what, times in sorted(findings.statuses.items()):
        print(f"{what:16} {times:6}")
    total = sum(findings.statuses.values())
    print(f"{total} requests in {time.monotonic() - start:.0f} s, the slowest {findings.slowest:.1f} s")
    for failure in findings.failures[:20]:
        print("FAILED", failure)
    print(f"{len(findings.failures)} failures")
    return 1 if findings.failures else 0


if __name__ == "__main__":
    sys.exit(main())
