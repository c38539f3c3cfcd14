"""`galvatron visualize` as a process: every answer by its description, figures as the command line prints them, and who
may not ask."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from visualizer_testing import BINARY, SOURCE_DIR, Answer, Visualizer, question

DESCRIPTION = json.loads((SOURCE_DIR / "docs" / "openapi.json").read_text())
SMALL = {"world_size": 4, "global_batch": "8", "seq_length": 64}


@pytest.fixture(scope="module")
def visualizer() -> Iterator[Visualizer]:
    with Visualizer() as running:
        yield running


def galvatron(*arguments: object) -> str:
    command = [str(BINARY), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    return done.stdout


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": DESCRIPTION["components"]})


def described(path: str, method: str, answer: Answer) -> Answer:
    """The answer, once it is what the description says."""
    operation = DESCRIPTION["paths"][path][method]
    responses = operation["responses"]
    assert str(answer.status) in responses, (path, answer.status, answer.body[:500])
    response = responses[str(answer.status)]
    if "$ref" in response:
        response = DESCRIPTION["components"]["responses"][response["$ref"].rpartition("/")[2]]
    kind = answer.headers["content-type"]
    check = validator(response["content"][kind]["schema"])
    for value in answer.lines() if kind == "application/x-ndjson" else [answer.json()]:
        check.validate(value)
    return answer


def ask(visualizer: Visualizer, path: str, body: dict[str, Any]) -> Answer:
    schema = DESCRIPTION["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator(schema).validate(body)
    return described(path, "post", visualizer.post(path, body))


@pytest.fixture(scope="module")
def found(visualizer: Visualizer) -> dict[str, Any]:
    lines = ask(visualizer, "/api/search", {"question": question(**SMALL)}).lines()
    assert "progress" in lines[0]
    return lines[-1]["result"]


@pytest.fixture(scope="module")
def plan(found: dict[str, Any]) -> dict[str, Any]:
    return {"name": "plan.json", "plan": found["best"]["plan"]}


def test_description_is_openapi_of_every_path(visualizer: Visualizer) -> None:
    assert DESCRIPTION["openapi"] == "3.1.0"
    served = visualizer.get("/openapi.json", **{"Accept-Encoding": "gzip"})
    assert served.headers["content-encoding"] == "gzip"
    for schema in DESCRIPTION["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    # The server's own list: what it says of a path that is none.
    for path, methods in DESCRIPTION["paths"].items():
        known = path.replace("{id}", "0")
        other = "DELETE" if known != path else {"get": "POST", "post": "GET"}[next(iter(methods))]
        assert visualizer.ask(other, known).status == 405, path
    assert visualizer.post("/api/nothing", {}).status == 404


def test_files_are_compressed_for_who_asks_for_that(visualizer: Visualizer) -> None:
    plain = (SOURCE_DIR / "docs" / "openapi.json").read_bytes()
    for asked in ({}, {"Accept-Encoding": "identity"}, {"Accept-Encoding": "br, gzip;q=0"}):
        served = visualizer.get("/openapi.json", **asked)
        assert "content-encoding" not in served.headers and served.body == plain, asked
        assert served.headers["vary"] == "Accept-Encoding"
    for asked in ("gzip", "deflate, GZIP;q=0.5, br"):
        served = visualizer.get("/openapi.json", **{"Accept-Encoding": asked})
        assert gzip.decompress(served.body) == plain, asked
    page = visualizer.get("/").body.decode()
    for path in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page):
        packed = visualizer.get(path, **{"Accept-Encoding": "gzip"}).body
        assert gzip.decompress(packed) == visualizer.get(path).body, path


def test_start(visualizer: Visualizer) -> None:
    start = described("/api/start", "get", visualizer.get("/api/start")).json()
    assert f"galvatron {start['version']}\n" == galvatron("--version")
    listed = json.loads(galvatron("models", "--json"))
    assert [row["name"] for row in start["models"]] == [model["name"] for model in listed]
    assert start["opened"] == []


def test_search_says_what_the_command_line_says(visualizer: Visualizer, found: dict[str, Any], tmp_path: Path) -> None:
    asked = ("--model", "gpt2-tiny", "--cluster", "8xA100", "--world-size", 4, "--global-batch", 8, "--seq-length", 64)
    printed = galvatron("search", *asked, "--explain")
    assert found["question_text"] in printed
    assert found["best"]["text"].splitlines()[0] in printed
    for price in found["shadow_prices"]:
        assert price["gain"] in printed
    assert found["miss"] is None


def test_plan_says_what_the_command_line_says(visualizer: Visualizer, plan: dict[str, Any], tmp_path: Path) -> None:
    body = {"question": question(**SMALL), "plan": plan}
    priced = ask(visualizer, "/api/plan", body).json()["priced"]
    exported = ask(visualizer, "/api/export", body).json()
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(exported))
    printed = galvatron("simulate", file, "--cluster", "8xA100")
    assert printed == priced["question_text"] + "\n" + priced["table_text"] + "\n"
    opened = ask(visualizer, "/api/identify", {"name": "plan.json", "text": json.dumps(exported)}).json()
    assert opened["kind"] == "plan" and opened["content"] == exported


def test_pictures(visualizer: Visualizer, plan: dict[str, Any]) -> None:
    body = {"question": question(**SMALL), "plan": plan}
    timeline = ask(visualizer, "/api/timeline", body).json()
    assert timeline["num_events"] == len(timeline["events"]["row"])
    assert ask(visualizer, "/api/timeline", {**body, "pp_ranks": [0, 0]}).json()["rows"][0]["pp_rank"] == 0
    for ranks in ([0, 99], [1, 0], [0], ["0", 1]):
        refused = visualizer.post("/api/timeline", {**body, "pp_ranks": ranks})
        assert refused.status == 400 and "pp_ranks" in refused.sentence, ranks
    memory = ask(visualizer, "/api/memory", {**body, "pp_rank": 0}).json()
    shown = ask(visualizer, "/api/plan", body).json()["priced"]["memory"]["ranks"][0]
    assert memory["peak"]["total"] == shown["total"]
    assert sum(node["bytes"] for node in memory["tree"]) == shown["total"]["value"]


def test_compare_says_what_the_command_line_says(visualizer: Visualizer, found: dict[str, Any], tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    one.write_text(json.dumps(found["best"]["plan"]))
    other.write_text(json.dumps(found["baselines"][0]["plan"]))
    body = {
        "question": question(**SMALL),
        "one": {"name": str(one), "plan": found["best"]["plan"]},
        "other": {"name": str(other), "plan": found["baselines"][0]["plan"]},
    }
    comparison = ask(visualizer, "/api/compare", body).json()
    printed = galvatron("simulate", one, "--against", other, "--cluster", "8xA100", "--seq-length", 64)
    assert comparison["text"] in printed


def test_tables(visualizer: Visualizer) -> None:
    frontier = ask(visualizer, "/api/frontier", {"question": question(**SMALL, budgets=8)}).lines()[-1]["result"]
    assert frontier["rows"] and frontier["csv"].splitlines()[0].split(",")
    options = {"world_size": [2, 4], "global_batch": "8", "seq_length": [64]}
    sweep = ask(visualizer, "/api/sweep", {"question": question(**options)}).lines()[-1]["result"]
    printed = galvatron("sweep", "--model", "gpt2-tiny", "--cluster", "8xA100", "--world-size", "2,4",
                        "--global-batch", 8, "--seq-length", 64)  # fmt: skip
    assert printed == sweep["title"] + "\n" + sweep["text"]


def test_nothing_fits(visualizer: Visualizer) -> None:
    asked = question("llama2-7b", world_size=1, global_batch="8", memory="8GiB")
    result = ask(visualizer, "/api/search", {"question": asked}).lines()[-1]["result"]
    assert result["best"] is None and result["miss"]["plan"]
    assert all(row["missing"] for row in result["baselines"]) and result["baselines"]
    asked["options"]["memory"] = result["miss"]["memory_option"]
    again = ask(visualizer, "/api/search", {"question": asked}).lines()[-1]["result"]
    assert again["best"] is not None


def test_opened_files(tmp_path: Path, plan: dict[str, Any]) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(plan["plan"]))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "gpt2"}')
    with Visualizer(file, f"{tmp_path / 'model'}/") as visualizer:
        opened = described("/api/start", "get", visualizer.get("/api/start")).json()["opened"]
    assert [(one["id"], one["kind"], one["name"]) for one in opened] == [
        (0, "plan", "mine.json"),
        (1, "model_config", "model"),
    ]


def test_run_is_read_anew(tmp_path: Path) -> None:
    step = {"step": 1, "loss": 2.5, "seconds": 0.1}
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(json.dumps(step) + "\n")
    with Visualizer(tmp_path) as visualizer:
        opened = described("/api/start", "get", visualizer.get("/api/start")).json()["opened"][0]
        assert (opened["kind"], opened["watch"]) == ("run", True)
        metrics.write_text("".join(json.dumps({**step, "step": i}) + "\n" for i in (1, 2)))
        run = described("/api/run/{id}", "get", visualizer.get("/api/run/0")).json()
        assert run["metrics"]["step"] == [1, 2]
        for other in ("1", "-1", "x", "0/", "..", ""):
            assert visualizer.get(f"/api/run/{other}").status == 404, other
        dropped = {"name": "run", "files": {"metrics.jsonl": metrics.read_text()}}
        assert ask(visualizer, "/api/identify", dropped).json()["kind"] == "run"


def test_other_hosts_and_sites(visualizer: Visualizer) -> None:
    ours = f"127.0.0.1:{visualizer.port}"
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{visualizer.port}"},
        {"Host": ours, "Origin": "http://evil.example"},
        {"Host": ours, "Origin": "null"},
        {"Host": ours, "Origin": f"http://localhost:{visualizer.port}"},
    ):
        answer = visualizer.get("/api/start", **headers)
        assert answer.status == 403 and answer.sentence, headers
    assert visualizer.get("/api/start", Origin=f"http://{ours}").status == 200
    body = json.dumps({"question": question()})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert visualizer.ask("POST", "/api/search", body, {"Content-Type": kind}).status == 415


def test_every_answer_tells_browsers_what_to_refuse(visualizer: Visualizer) -> None:
    for path in ("/", "/api/start", "/api/nothing", "/nothing"):
        headers = visualizer.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert visualizer.get("/api/start").headers["cache-control"] == "no-store"
    assert visualizer.get("/").headers["content-type"].startswith("text/html")


def test_token() -> None:
    with Visualizer("--host", "0.0.0.0") as visualizer:
        assert visualizer.token
        for path in ("/", "/api/start", "/?token=0", f"/api/start?token={visualizer.token}"):
            assert visualizer.get(path).status == 401, path
        assert not visualizer.address.startswith(("http://0.0.0.0", "http://127."))
        seen = visualizer.get("/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        assert (seen.status, seen.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert "open the address that `galvatron visualize` printed" in seen.body.decode()
        assert visualizer.get("/api/start", Accept="*/*").sentence.startswith("the token is missing")
        assert visualizer.get("/api/start", Authorization=f"Bearer {visualizer.token}").status == 200
        welcome = visualizer.get(f"/?token={visualizer.token}")
        assert (welcome.status, welcome.headers["location"]) == (303, "/")
        cookie = welcome.headers["set-cookie"].partition(";")[0]
        assert visualizer.get("/", Cookie=cookie).status == 200
        assert visualizer.get("/api/start", Cookie=cookie, Origin="http://evil.example").status == 403


def test_requests_that_are_too_large(visualizer: Visualizer) -> None:
    body = b'{"name": "x", "text": "' + b"x" * (17 << 20) + b'"}'
    answer = visualizer.ask("POST", "/api/identify", body, {"Content-Type": "application/json"})
    assert answer.status == 413 and "16.0 MiB" in answer.sentence
    assert visualizer.get("/" + "x" * 20_000).status == 431


def test_paths_of_the_machine_are_not_looked_at(visualizer: Visualizer) -> None:
    for path in ("/../configs/models/gpt2.json", "/%2e%2e/README.md", "//etc/passwd", "/assets/../openapi.json"):
        assert visualizer.get(path).status == 404, path
    for asked in (question(model="/etc/passwd"), question(cluster="../clusters/8xA100.json")):
        answer = visualizer.post("/api/search", {"question": asked})
        assert answer.status == 400 and "No such file" not in answer.sentence


LARGE = {"global_batch": "512,1024,2048", "time_limit": 60}


def test_a_reader_who_leaves_ends_the_search() -> None:
    with Visualizer() as visualizer:
        body = json.dumps({"question": question("gpt3-175b", "1024xH100", **LARGE)})
        for _ in range(8):  # more than there are places
            connection = visualizer.connect()
            connection.request("POST", "/api/search", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            assert response.status == 200
            assert "progress" in json.loads(response.readline())
            connection.close()
            free = time.monotonic() + 20
            while visualizer.post("/api/search", {"question": question(**SMALL)}).status == 429:
                assert time.monotonic() < free
                time.sleep(0.1)


def test_as_many_searches_as_cores() -> None:
    with Visualizer() as visualizer:
        body = json.dumps({"question": question("gpt3-175b", "1024xH100", **LARGE)})
        connections, refused = [], None
        while refused is None and len(connections) < 1000:
            connection = visualizer.connect()
            connection.request("POST", "/api/search", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status == 429:
                refused = Answer(response)
            connections.append(connection)
        assert refused is not None and "at a time" in refused.sentence
        start = time.monotonic()
        assert visualizer.get("/api/start").status == 200
        assert time.monotonic() - start < 5
        code, _ = visualizer.end()
        assert code == 0
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(how: signal.Signals) -> None:
    visualizer = Visualizer()
    assert visualizer.get("/api/start").status == 200
    assert visualizer.end(how) == (0, "")


def error_of(*arguments: object) -> str:
    command = [str(BINARY), "visualize", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    return done.stderr


def test_bad_input(visualizer: Visualizer, tmp_path: Path) -> None:
    in_use = error_of("--port", visualizer.port)
    assert in_use == f"galvatron: error: --port {visualizer.port} is in use: give another, or --port 0 for a free one\n"
    assert "no.such.host.invalid" in error_of("--host", "no.such.host.invalid")
    assert "65536" in error_of("--port", 65536)
    (tmp_path / "notes.json").write_text('{"notes": 1}')
    assert "notes.json is no plan" in error_of(tmp_path / "notes.json")
    assert "cannot read" in error_of(tmp_path / "missing.json")
