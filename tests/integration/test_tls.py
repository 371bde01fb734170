"""Who answers must be who was configured: certificates are checked, nothing leads elsewhere."""

import subprocess

import pytest

from lib.certificates import Authority
from lib.llm import Step
from lib.pool import conf_text
from lib.proc import Daemon, accepts, start_on_free_port, wait_until
from lib.site import FREE, PROVIDER_KEY

TEXT = "The envelope was sealed, and the seal was looked at before anything was said to its bearer."
KINDS = ("openai", "anthropic", "gemini")


@pytest.fixture
def authority(workdir):
    return Authority(workdir)


def conf(server, kind="openai", **more):
    return {"main": {"kind": kind, "url": server.url if kind == "openai" else server.root,
                     "model": "m", "key": PROVIDER_KEY, **more}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_of_the_configured_authority_is_good(site, llm, authority, kind):
    server = llm(host="localhost", certificate=authority.certificate())
    one = site(llm=server, settings=FREE, workers=1,
               providers=conf(server, kind, ca_file=authority.ca_file))
    for number in range(5):
        assert one.process(f"{TEXT} {number}").status == 200, one.log
    assert server.connections == 1    # one handshake serves them all


@pytest.mark.parametrize("shape", ["nginx", "mod_fcgid", "cgi"])
def test_the_environment_may_name_the_authorities(site, llm, authority, shape):
    """Where a provider does not, as other programs with OpenSSL do it."""
    server = llm(host="localhost", certificate=authority.certificate())
    one = site(server=shape, llm=server, settings=FREE, providers=conf(server),
               env={"SSL_CERT_FILE": str(authority.ca_file)})
    assert one.process(TEXT).status == 200, one.log


HTTP2 = """daemon off; worker_processes 1; pid {dir}/run/h2.pid; error_log {dir}/log/h2-error.log;
events {{ worker_connections 64; }}
http {{
    log_format h2 '$server_protocol $connection'; access_log {dir}/log/h2.log h2;
    client_body_temp_path {dir}/tmp/h2b; proxy_temp_path {dir}/tmp/h2p;
    fastcgi_temp_path {dir}/tmp/h2f; uwsgi_temp_path {dir}/tmp/h2u; scgi_temp_path {dir}/tmp/h2s;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {cert}; ssl_certificate_key {key};
        location / {{ proxy_pass http://127.0.0.1:{llm}; proxy_http_version 1.1; }}
    }}
}}
"""


class Http2(Daemon):
    """nginx with TLS and HTTP/2 in front of the scripted LLM server."""

    name = "h2"

    def __init__(self, workdir, certificate, llm_port):
        super().__init__(workdir)
        self.certificate, self.llm_port, self.port = certificate, llm_port, 0
        workdir.give(certificate.cert, certificate.key)

    def _try(self, port):
        conf = self.workdir.write("conf/h2.conf", HTTP2.format(
            dir=self.workdir, port=port, cert=self.certificate.cert, key=self.certificate.key,
            llm=self.llm_port))
        self.spawn(["nginx", "-p", f"{self.workdir}/", "-e", f"{self.workdir}/log/h2-error.log",
                    "-c", conf])
        pid_file = self.workdir / "run" / "h2.pid"
        if self.await_ready(lambda: pid_file.exists() and accepts(("127.0.0.1", port))):
            self.port = port
            return self
        return None

    def start(self):
        return start_on_free_port(self._try)

    def lines(self):
        return (self.workdir / "log" / "h2.log").read_text().splitlines()


def test_a_batch_shares_one_http2_connection(site, llm, authority, workdir):
    server = llm()
    server.always = Step(delay=0.2)
    front = Http2(workdir, authority.certificate(), server.port).start()
    try:
        one = site(llm=server, settings=FREE, workers=1, providers={"main": {
            "kind": "openai", "url": f"https://localhost:{front.port}/v1", "model": "m",
            "key": PROVIDER_KEY, "ca_file": authority.ca_file}})
        answer = one.http.post("/v1/batch_process", json={"requests": [
            {"text": f"{TEXT} {number}", "operation": "summarize"} for number in range(5)]})
        assert answer.json()["completed"] == 5, answer.text
        wait_until(lambda: len(front.lines()) == 5, "five lines in the log")
    finally:
        front.stop()
    assert len(set(front.lines())) == 1 and front.lines()[0].startswith("HTTP/2.0"), front.lines()
    assert server.peak == 5


def test_streams_come_over_tls_too(site, llm, authority):
    server = llm(host="localhost", certificate=authority.certificate())
    one = site(llm=server, settings=FREE, providers=conf(server, ca_file=authority.ca_file))
    answer = one.process(TEXT, headers={"Accept": "text/event-stream"})
    assert answer.text.count("event: delta") > 5 and "event: result" in answer.text


@pytest.mark.parametrize("wrong", ["host", "expired", "unknown", "system"])
def test_a_bad_certificate_is_no_provider(site, llm, authority, workdir, wrong):
    ca_file = authority.ca_file
    if wrong == "host":
        certificate = authority.certificate("DNS:elsewhere.test")
    elif wrong == "expired":
        certificate = authority.certificate(expired=True)
    else:
        certificate = authority.certificate()
        ca_file = Authority(workdir, "other").ca_file if wrong == "unknown" else None
    server = llm(host="localhost", certificate=certificate)
    more = {"ca_file": ca_file} if ca_file else {}
    one = site(llm=server, settings={**FREE, "llm.deadline": "20s"},
               providers=conf(server, **more))
    answer = one.process(TEXT)
    assert answer.status == 502 and answer.json()["code"] == "llm_error", answer.text
    assert server.count == 0 and server.connections == 1, "it gets no better by asking again"
    line = wait_until(lambda: [line for line in one.log.splitlines() if "/v1/process" in line],
                      "the log's line")[0]
    assert "certificate" in line.lower(), line
    assert PROVIDER_KEY not in one.log and "certificate" not in answer.text.lower()


def test_plain_http_where_tls_was_expected_gets_nothing(site, llm, authority):
    server = llm()
    url = server.url.replace("http://", "https://")
    one = site(llm=server, settings={**FREE, "llm.deadline": "3s"},
               providers={"main": {**conf(server)["main"], "url": url,
                                   "ca_file": authority.ca_file}})
    assert one.process(TEXT).status == 503 and server.count == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(site, llm, status):
    server, elsewhere = llm(), llm(key=None)
    one = site(llm=server, settings=FREE, providers=conf(server))
    server.script(Step(status=status, headers={"Location": f"{elsewhere.url}/chat/completions"}))
    answer = one.process(TEXT)
    assert answer.status == 502 and answer.json()["code"] == "llm_error"
    assert server.count == 1 and elsewhere.connections == 0


@pytest.mark.parametrize("url, good", [
    ("http://llm.example.test/v1", False), ("http://127.0.0.1.example.test/v1", False),
    ("http://10.0.0.7:8000/v1", False), ("http://127.0.0.1:9/v1", True),
    ("http://localhost:9/v1", True), ("http://[::1]:9/v1", True),
    ("https://llm.example.test/v1", True), ("ftp://llm.example.test/v1", False),
    ("file:///etc/passwd", False),
])
@pytest.mark.parametrize("kind", KINDS)
def test_plain_http_to_another_host_is_a_mistake(program, workdir, kind, url, good):
    file = workdir.write("conf/textmill.conf", conf_text({
        "auth.mode": "off",
        "provider main": {"kind": kind, "url": url, "model": "m", "key": PROVIDER_KEY}}))
    tested = subprocess.run([program, "-t", "-c", file], capture_output=True, text=True,
                            check=False, timeout=20, env={})
    said = tested.stdout + tested.stderr
    assert (tested.returncode == 0) == good, said
    assert good or (f"{file}:" in said and "main" in said), said
    assert PROVIDER_KEY not in said


def test_plain_http_to_another_host_may_be_allowed(program, workdir):
    file = workdir.write("conf/textmill.conf", conf_text({
        "auth.mode": "off", "provider main": {
            "kind": "openai", "url": "http://llm.example.test/v1", "model": "m",
            "insecure": "true"}}))
    tested = subprocess.run([program, "-t", "-c", file], capture_output=True, text=True,
                            check=False, timeout=20, env={})
    assert tested.returncode == 0, tested.stderr
