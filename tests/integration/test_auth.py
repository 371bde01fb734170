"""Who may call: keys of the environment and the keys file, permissions, refusal to start."""

import re
import signal
import subprocess

import pytest

from lib.pool import built_ctl
from lib.proc import wait_until
from lib.site import ADMIN_KEY, USER_KEY

TEXT = "A key opens a door, and a door that needs no key is a wall with a hole in it."


def new_key(program, *options):
    """textmillctl key new: (the key, its line)."""
    made = subprocess.run([built_ctl(), "key", "new", *options], capture_output=True, text=True, check=True)
    key = re.search(r"tm_[0-9A-Za-z]{12}_[0-9A-Za-z]{46}", made.stderr).group()
    assert key not in made.stdout
    return key, made.stdout


def test_both_headers_carry_a_key_and_bearer_wins(shared_site):
    site = shared_site()
    nobody = site.http.with_key(None)
    assert nobody.get("/v1/operations", headers={"X-API-Key": USER_KEY}).status == 200
    assert nobody.get("/v1/operations",
                      headers={"Authorization": f"bearer {USER_KEY}"}).status == 200
    both = {"Authorization": "Bearer wrong-key-0123456789", "X-API-Key": USER_KEY}
    assert nobody.get("/v1/operations", headers=both).status == 401
    assert nobody.get(f"/v1/operations?api_key={USER_KEY}").status == 401


def test_admin_and_user_keys_have_their_permissions_and_limits(shared_site):
    site = shared_site()
    admin = site.http.with_key(ADMIN_KEY).get("/v1/auth/status").json()
    user = site.http.get("/v1/auth/status").json()
    assert admin["permissions"] == ["read", "write", "admin"]
    assert user["permissions"] == ["read", "write"]
    assert admin["limits"]["hour"]["limit"] == 1000 and user["limits"]["hour"]["limit"] == 100


def test_keys_file_permissions_expiry_and_own_limit(site, program, workdir):
    writer, line1 = new_key(program, "--user", "alice", "--permissions", "read,write",
                            "--hour", "7")
    reader, line2 = new_key(program, "--user", "bob", "--permissions", "read")
    late, line3 = new_key(program, "--user", "carol", "--permissions", "read",
                          "--expires", "2999-01-01")
    line3 = line3.replace("2999", "2020")
    keys = workdir.write("conf/keys", "# who may\n\n" + line1 + line2 + line3)
    one = site(settings={"auth.keys_file": keys}, env={"USER_API_KEY": None, "ADMIN_API_KEY": None})
    as_writer, as_reader = one.http.with_key(writer), one.http.with_key(reader)
    status = as_writer.get("/v1/auth/status").json()
    assert status["user"] == "alice" and status["limits"]["hour"]["limit"] == 7
    assert one.process(TEXT, http=as_writer).status == 200
    refused = one.process(TEXT, http=as_reader)
    assert refused.status == 403 and refused.json()["code"] == "forbidden"
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert as_reader.get("/v1/operations").status == 200
    assert one.http.with_key(late).get("/v1/operations").status == 401
    for secret in (writer, reader, late):
        assert secret not in one.log
        assert secret[:30] + ("A" if secret[30] != "A" else "B") + secret[31:] not in one.log


def test_a_wrong_character_in_a_key_is_refused(site, program, workdir):
    key, line = new_key(program, "--user", "alice", "--permissions", "read")
    one = site(settings={"auth.keys_file": workdir.write("conf/keys", line)})
    for at in (3, 20, len(key) - 1):
        wrong = key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1:]
        assert one.http.with_key(wrong).get("/v1/operations").status == 401
    assert one.http.with_key(key).get("/v1/operations").status == 200


def test_failed_logins_are_limited_per_address_and_good_keys_still_pass(site):
    one = site(settings={"limit.login_minute": 3})
    guess = one.http.with_key("guess-guess-guess-guess")
    answers = [guess.get("/v1/operations") for _ in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert int(answers[3].headers["Retry-After"]) in range(1, 21)
    assert one.http.get("/v1/operations").status == 200


def test_operations_can_be_public(site):
    one = site(settings={"auth.public_operations": "true"})
    assert one.http.with_key(None).get("/v1/operations").status == 200
    assert one.http.with_key("wrong-key-0123456789").get("/v1/operations").status == 401
    assert one.process(TEXT, http=one.http.with_key(None)).status == 401


def test_auth_off_lets_everybody_process(site):
    one = site(settings={"auth.mode": "off"}, env={"USER_API_KEY": None, "ADMIN_API_KEY": None})
    assert one.process(TEXT, http=one.http.with_key(None)).status == 200


@pytest.mark.parametrize("env,words", [
    ({}, ["auth.mode", "key"]),
    ({"USER_API_KEY": "short"}, ["USER_API_KEY", "16"]),
    ({"ADMIN_API_KEY": "with a space in it 0123"}, ["ADMIN_API_KEY"]),
])
def test_refuses_to_start_without_a_good_key(program, workdir, env, words):
    conf = workdir.write("conf/textmill.conf", f'listen = "{workdir}/run/textmill.sock"\n')
    ended = subprocess.run([program, "-c", conf], env=env, capture_output=True, text=True,
                           timeout=20, stdin=subprocess.DEVNULL)
    assert ended.returncode != 0
    assert all(word in ended.stderr for word in words), ended.stderr
    for value in env.values():
        assert value not in ended.stderr


def replace_workers(one):
    """Has all workers replaced; returns when as many new ones serve."""
    before = set(one.pool.workers())
    one.pool.signal(signal.SIGUSR1)
    wait_until(lambda: len(one.pool.workers()) == one.workers
               and not before & set(one.pool.workers()), "new workers")


def test_a_spoilt_keys_file_costs_no_new_worker(site, program, workdir):
    """Its good lines serve, and its bad ones are told; what was withdrawn stays so."""
    key, line = new_key(program, "--user", "alice", "--permissions", "read")
    gone, gone_line = new_key(program, "--user", "bob", "--permissions", "read")
    keys = workdir.write("conf/keys", line + gone_line)
    one = site(settings={"auth.keys_file": keys}, env={"USER_API_KEY": None, "ADMIN_API_KEY": None})
    assert one.http.with_key(gone).get("/v1/operations").status == 200
    workdir.write("conf/keys", line + gone_line.replace("permissions", "permission"))
    replace_workers(one)
    assert one.http.with_key(key).get("/v1/operations").status == 200
    assert one.http.with_key(gone).get("/v1/operations").status == 401
    assert f"{keys}:2: " in one.log
    keys.unlink()
    replace_workers(one)
    assert one.http.get("/v1/health").status == 200
    assert one.http.with_key(key).get("/v1/operations").status == 401
    assert f"{keys}: cannot be read" in one.log and "before its first request" not in one.log


def test_keys_of_the_environment_go_on_without_the_keys_file(site, program, workdir):
    _, line = new_key(program, "--user", "alice", "--permissions", "read")
    keys = workdir.write("conf/keys", line)
    one = site(settings={"auth.keys_file": keys})
    keys.unlink()
    replace_workers(one)
    assert one.http.get("/v1/operations").status == 200


def test_a_spoilt_keys_file_costs_no_cgi_request(site, program, workdir):
    key, line = new_key(program, "--user", "alice", "--permissions", "read")
    keys = workdir.write("conf/keys", "nonsense\n" + line)
    one = site(server="cgi", settings={"auth.keys_file": keys}, llm=False,
               env={"USER_API_KEY": None, "ADMIN_API_KEY": None})
    assert one.http.with_key(key).get("/v1/operations").status == 200
    assert any(f"{keys}:1: " in text for _, text in one.dir.logs())


@pytest.mark.parametrize("how", [["-t"], [], ["--jobs", "--once"]])
def test_refuses_to_start_with_a_spoilt_keys_file(program, workdir, how):
    keys = workdir.write("conf/keys", "# who may\nnonsense\n")
    conf = workdir.write("conf/textmill.conf", f'listen = "{workdir}/run/textmill.sock"\n'
                         f'auth {{ keys_file = "{keys}" }}\n')
    ended = subprocess.run([program, "-c", conf, *how], env={"USER_API_KEY": USER_KEY},
                           capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert ended.returncode == 1 and f"{keys}:2: " in ended.stderr


@pytest.mark.parametrize("lines,env,words", [
    ('pool { socket_group = "no-such-group" }', {}, "group"),
    ('pool { socket_owner = "no-such-user" }', {}, "owner"),
    ('pool { socket_mode = "9" }', {}, "mode"),
    ('user = "no-such-user"', {}, "no-such-user"),
    ('group = "no-such-group"', {}, "no-such-group"),
    ("", {"USER_API_KEY": ""}, "no API key"),
    ("", {"USER_API_KEY": "short"}, "USER_API_KEY"),
])
def test_both_programs_refuse_what_cannot_start(program, workdir, lines, env, words):
    conf = workdir.write("conf/textmill.conf",
                         f'listen = "{workdir}/run/textmill.sock"\n{lines}\n')
    for command in ([program, "-t"], [program], [built_ctl(), "config", "test"]):
        ended = subprocess.run([*command, "-c", conf], env={"USER_API_KEY": USER_KEY, **env},
                               capture_output=True, text=True, timeout=20,
                               stdin=subprocess.DEVNULL)
        assert ended.returncode == 1 and words in ended.stderr, (command, ended.stderr)
