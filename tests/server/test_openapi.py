"""The interface under values nobody means: answers, never a failure of the service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fourfold import Upscaler
from fourfold.jobs.engines import Engines
from tests.made_services import png, serving
from tests.models import tiny_model

pytestmark = pytest.mark.timeout(1000)

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = (
    "model",
    "scale",
    "fit",
    "texture",
    "tta",
    "ext",
    "quality",
    "codec",
    "crf",
    "start",
    "frames",
)
OPTIONS = st.dictionaries(st.sampled_from(NAMES), ANY, max_size=3) | ANY
few = settings(max_examples=20, suppress_health_check=list(HealthCheck))
"""The service is opened once; what one example leaves does not matter to the next."""


def expected(answer) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"title", "status", "detail"} <= set(answer.json())


@few
@given(options=OPTIONS)
def test_any_options_get_an_answer(client, options) -> None:
    text = json.dumps(options)
    form = {"files": {"file": ("a.png", png(3, 3))}, "data": {"options": text}}
    answer = client.post("/v1/estimate", **form)
    expected(answer)
    answer = client.post("/v1/jobs", **form)
    expected(answer)
    if answer.status_code == 202:
        told = client.ended(answer.json()["id"])
        assert "a bug" not in (told["reason"] or "")


@few
@given(
    sizes=st.dictionaries(
        st.sampled_from(("width", "height", "frames", "film", "options")),
        st.integers(-3, 10**9) | ANY,
        max_size=5,
    )
)
def test_any_sizes_get_an_answer(client, sizes) -> None:
    expected(
        client.post(
            "/v1/estimate",
            content=json.dumps(sizes).encode(),
            headers={"Content-Type": "application/json"},
        )
    )


@few
@given(body=st.binary(max_size=300), name=st.text(max_size=60))
def test_any_body_and_name_get_an_answer(client, body, name) -> None:
    expected(
        client.post("/v1/estimate", content=body, headers={"Content-Type": "application/json"})
    )
    for boundary in ("b", "x" * 200):
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        expected(client.post("/v1/jobs", content=b"--b\r\n" + body, headers=kind))
    disposition = f'form-data; name="file"; filename="{name}"'.encode("utf-8", "surrogatepass")
    head = b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/jobs", content=head + png(2, 2) + b"\r\n--b--\r\n", headers=kind)
    expected(answer)
    if answer.status_code == 202:
        job = answer.json()["id"]
        told = client.ended(job)
        expected(client.get(f"/v1/jobs/{job}/input"))
        if told["state"] == "done":
            expected(client.get(f"/v1/jobs/{job}/result"))
            expected(client.get("/v1/results.zip"))
        client.delete(f"/v1/jobs/{job}")


@few
@given(id_=st.text(max_size=40), query=st.text(max_size=20))
def test_any_id_and_question_get_an_answer(client, id_, query) -> None:
    from urllib.parse import quote

    path = f"/v1/jobs/{quote(id_.encode('utf-8', 'replace'), safe='')}"
    for end in ("", "/result", "/preview"):
        expected(client.get(path + end, params={"of": query, "side": query, "limit": query}))
    expected(client.get("/v1/jobs", params={"limit": query}))
    expected(client.get("/v1/results.zip", params={"id": query}))


def test_every_route_is_described(client) -> None:
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), (path, method)
            assert "4XX" in operation["responses"], (path, method)


def test_a_method_that_is_not_there_is_told_which_are(client) -> None:
    for path, methods in (
        ("/v1/jobs", "GET, POST"),
        ("/v1/jobs/x", "DELETE, GET"),
        ("/v1/jobs/x/result", "GET"),
        ("/healthz", "GET"),
        ("/", "GET"),
    ):
        answer = client.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


def test_whole_numbers_may_have_a_point(client) -> None:
    sizes = {"width": 40.0, "height": 30, "frames": 1.0}
    answer = client.post("/v1/estimate", json=sizes)
    assert (answer.status_code, answer.json()["width"]) == (200, 160)
    for width in (40.5, 1_000_001):  # the document says up to a million
        assert client.post("/v1/estimate", json={**sizes, "width": width}).status_code == 400


UNSAID = "positive_data_acceptance,missing_required_header"
"""Checks left out: which options go together depends on the file, and the header is the guard's."""


@pytest.mark.slow
def test_the_interface_keeps_to_its_document(tmp_path) -> None:
    """`FOURFOLD_SCHEMA_SECONDS=300` for long."""
    schemathesis = Path(sys.executable).with_name("schemathesis")
    if not schemathesis.exists():
        pytest.skip("no schemathesis on this machine")
    with serving(tmp_path, engines=Engines(Upscaler(tiny_model()))) as (_, port):
        command = [str(schemathesis), "run", f"http://127.0.0.1:{port}/openapi.json"]
        command += ["-H", "X-Fourfold: 1", "--exclude-path", "/v1/events"]  # which never ends
        command += ["--exclude-checks", UNSAID, "--no-color", "--request-timeout", "20"]
        command += ["--max-time", os.environ.get("FOURFOLD_SCHEMA_SECONDS", "20")]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=900, check=False, cwd=tmp_path
        )
    assert done.returncode == 0, done.stdout
