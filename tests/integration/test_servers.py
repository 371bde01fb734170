"""The samples for nginx and Apache, as they are, in front of the real program: what a request
is made of arrives complete under every one of them, and so does the answer."""

import json
import re
import socket
import time
from http import client as http_client

import pytest

from lib import fcgi
from lib.apache import Apache
from lib.http import Client
from lib.llm import Step
from lib.pool import conf_text
from lib.site import ADMIN_KEY, SERVERS, USER_KEY

TEXT = "The harbour kept its old light. Every evening a boy walked out to trim the wick."
MEBIBYTE = 1048576
PAUSE = 7    # s: longer than a worker waits for a request's head
PLENTY = {"limit.minute": 100000, "limit.hour": 100000}


@pytest.fixture(params=SERVERS)
def server(request):
    return request.param


@pytest.fixture(params=["", "/ai"], ids=["at_root", "at_ai"])
def http(request, server, shared_site):
    """A client of one set-up at one mount point, with the user's key."""
    return shared_site(server=server, mount=request.param, settings=PLENTY).http


@pytest.fixture
def nobody(http):
    return http.with_key(None)


def assert_problem(answer, status, code):
    assert answer.status == status, answer.text
    assert answer.type == "application/problem+json"
    assert answer.json()["code"] == code


def assert_length_is_announced(http):
    """GET, POST and HEAD say how long the body is; API.md promises it."""
    answers = [http.get("/v1/health"),
               http.post("/v1/process", json={"text": TEXT, "operation": "summarize"})]
    for answer in answers:
        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) == len(answer.body) > 0
    answer = http.head("/v1/health")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


def post_lines(http, lines, body=None):
    """POST /v1/process with these header lines, of which some may be equal."""
    body = body or json.dumps({"text": TEXT, "operation": "summarize"})
    head = http.head_of("POST", "/v1/process", {
        "Authorization": f"Bearer {http.key}", "Content-Type": "application/json",
        "Content-Length": len(body), "Connection": "close"})
    return http.raw(head[:-2] + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
                    + body.encode())


def test_health_needs_no_key(nobody):
    answer = nobody.get("/v1/health")
    assert answer.status == 200
    assert answer.json()["status"] == "healthy"


def test_head_has_headers_and_no_body(nobody):
    answer = nobody.head("/v1/health")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.type == "application/json"


def test_length_of_every_answer_is_announced(http):
    assert_length_is_announced(http)


def test_lines_of_a_repeated_header_are_one_list(http):
    http.post("/v1/process", json={"text": TEXT, "operation": "summarize"})
    assert post_lines(http, ["Cache-Control: max-age=0"]).json()["cache_hit"] is True
    again = post_lines(http, ["Cache-Control: max-age=0", "X-Between: 1",
                              "Cache-Control: no-cache"])
    assert again.status == 200 and again.json()["cache_hit"] is False
    assert post_lines(http, ["Accept: text/html", "Accept: application/json"]).status == 200
    assert post_lines(http, ["Accept: text/html", "Accept: text/plain"]).status == 406


def test_repeated_ids_are_none(http):
    answer = post_lines(http, ["X-Request-ID: one", "X-Request-ID: one"])
    assert answer.status == 200
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
    assert_problem(post_lines(http, ["Idempotency-Key: one", "Idempotency-Key: one"]), 422,
                   "invalid")


@pytest.mark.parametrize("path", ["/v1/no/such/path", "/v1/nonsense/health", "/v3/health",
                                  "/nonsense/openapi.json"])
def test_unknown_path_is_a_problem_document(nobody, path):
    assert_problem(nobody.get(path), 404, "not_found")


def test_a_server_that_cannot_tell_the_mount_point_sends_all_of_the_path(shared_site):
    """nginx without fastcgi_split_path_info, lighttpd at the root."""
    one = shared_site(server=None, settings=PLENTY)
    for path, status in (("/ai/v1/health", 200), ("/v1/health", 200), ("/ai/v1/no", 404)):
        answer = fcgi.request(one.pool.socket_path, "GET", "", SCRIPT_NAME=path)
        assert answer.status == status, path


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_key_reaches_the_worker(nobody, header):
    key = f"Bearer {USER_KEY}" if header == "Authorization" else USER_KEY
    answer = nobody.get("/v1/auth/status", headers={header: key})
    assert answer.status == 200, answer.text


def test_missing_key_is_refused(nobody):
    assert_problem(nobody.get("/v1/auth/status"), 401, "unauthenticated")


def test_wrong_key_is_refused(nobody):
    answer = nobody.get("/v1/auth/status", headers={"Authorization": f"Bearer {USER_KEY}x"})
    assert_problem(answer, 401, "unauthenticated")


def test_process_answers(http):
    answer = http.post("/v1/process", json={"text": TEXT, "operation": "summarize"})
    assert answer.status == 200, answer.text
    assert answer.json()["success"] is True
    assert answer.json()["result"]


def test_chunked_body_arrives_whole(http):
    body = b'{"operation": "summarize", "text": "%s"}' % TEXT.encode()
    pieces = [body[:7], body[7:30], body[30:]]
    answer = http.post("/v1/process", body=pieces, chunked=True,
                       headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer.text
    assert answer.json()["success"] is True


@pytest.mark.parametrize("method,path,key,kind,status", [
    ("POST", "/v1/process", None, "application/json", 401),
    ("POST", "/v1/no/such/path", USER_KEY, "application/json", 404),
    ("POST", "/v1/health", USER_KEY, "application/json", 405),
    ("POST", "/v1/process", USER_KEY, "text/plain", 415),
    ("OPTIONS", "/v1/process", USER_KEY, "application/json", 204),
    ("GET", "/v1/health", USER_KEY, "application/json", 200),
])
def test_answer_that_needs_no_body_comes_though_chunks_do(http, method, path, key, kind, status):
    answer = http.with_key(key).request(
        method, path, body=[b"x" * 4096] * 64, chunked=True, headers={"Content-Type": kind})
    assert answer.status == status, answer.text
    if status >= 400:
        assert answer.type == "application/problem+json"


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_body_over_the_limit_is_our_own_413(http, chunked):
    answer = http.post("/v1/process", body=b"x" * (MEBIBYTE + 1), chunked=chunked,
                       headers={"Content-Type": "application/json"})
    assert_problem(answer, 413, "too_large")


def test_location_gives_variables_that_no_client_can(http, server):
    """A header may look like a variable of the web server's: it arrives as HTTP_*."""
    answer = http.with_key(None).get("/v1/auth/status", headers={
        "Remote-User": "admin", "TEXTMILL_AUTH_MODE": "off", "Textmill-Auth-Mode": "off"})
    assert_problem(answer, 401, "unauthenticated")


@pytest.mark.parametrize("variant", ["htaccess", "htaccess-cgi"])
def test_htaccess_example_serves_a_folder(workdir, program, variant):
    """Shared hosting: a customer's folder, a wrapper script and the example."""
    conf = workdir.write("conf/textmill.conf", conf_text({
        "log.target": workdir / "log" / "textmill.log",
        "redis.url": f"unix://{workdir}/run/none.sock"}))
    env = {"TEXTMILL_CONF": str(conf), "USER_API_KEY": USER_KEY, "ADMIN_API_KEY": ADMIN_KEY}
    apache = Apache(workdir, variant, program, env, mount="/ai").start()
    try:
        nobody = Client(apache.port, "/ai")
        assert nobody.get("/v1/health").status == 200
        assert nobody.get("/v1/auth/status").status == 401
        assert nobody.with_key(USER_KEY).get("/v1/auth/status").status == 200
        assert nobody.get("/textmill.fcgi/v1/health").status == 200
        assert nobody.get("/v1/nonsense/health").status == 404
        answer = nobody.with_key(USER_KEY).post(
            "/v1/process", json={"text": TEXT, "operation": "summarize"})
        assert answer.status == 200, answer.text
        assert_length_is_announced(nobody.with_key(USER_KEY))
    finally:
        apache.stop()


@pytest.mark.parametrize("server", ["apache-proxy", "mod_fcgid"])
def test_slow_client_gets_its_whole_answer(site, server):
    """Apache passes its client's pace on: here nothing is taken for longer than a worker
    waits for a whole head, and more is to come than the sockets hold."""
    # It stands only outside of virtual hosts; with it the kernel's buffer does not grow.
    one = site(server=server, extra="</VirtualHost>\nSendBufferSize 65536\n<VirtualHost *:1>")
    words = "word " * 400_000
    one.llm.script(Step(text=words))
    body = json.dumps({"text": TEXT, "operation": "summarize"}).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", one.http.port))
        connection.sendall(one.http.head_of("POST", "/v1/process", {
            "Authorization": f"Bearer {USER_KEY}", "Content-Type": "application/json",
            "Content-Length": len(body)}) + body)
        connection.recv(1, socket.MSG_PEEK)
        time.sleep(PAUSE)
        answer = http_client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 200
        assert json.loads(answer.read())["result"] == words.strip()


def test_pause_in_an_upload_is_waited_for(site):
    """mod_proxy_fcgi passes a body on as it comes, once it has 16 KiB of it."""
    one = site(server="apache-proxy")
    body = json.dumps({"padding": "x" * 200_000, "text": TEXT, "operation": "summarize"}).encode()
    with one.http.connect() as connection:
        connection.sendall(one.http.head_of("POST", "/v1/process", {
            "Authorization": f"Bearer {USER_KEY}", "Content-Type": "application/json",
            "Content-Length": len(body)}) + body[:100_000])
        time.sleep(PAUSE)
        connection.sendall(body[100_000:])
        answer = http_client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 200, answer.read()
