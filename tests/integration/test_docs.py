"""What the documents say is so: their commands run, their configuration is taken by the programs
it is for, their links lead somewhere, and what they name exists. docs/developer.md tells which
kind of block is treated how.
"""

import grp
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.apache import MODULES
from lib.pool import built_program
from lib.proc import ROOT
from lib.site import ADMIN_KEY, USER_KEY

DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PAGES = sorted(ROOT.glob("man/*.[1-8]"))
CTL = Path(os.environ.get("TEXTMILLCTL_BIN") or built_program().with_name("textmillctl"))
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"    # where nginx and apache2 are
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
KINDS = {"sh", "json", "http", "console", "conf", "nginx", "apache", "ini", "redis", "text"}
# Members whose values an example must have as they are.
EXACT = {"code", "status", "title", "type", "operation", "success", "detail", "permissions"}
NO_SETTING = {"TEXTMILL_CONF", "TEXTMILL_BIN", "TEXTMILLCTL_BIN", "TEXTMILL_MOUNT",
              "TEXTMILL_PROGRAM", "TEXTMILL_SOCKET", "TEXTMILL_API_KEY"}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def blocks_of(path):
    """(line, kind, text) of the fenced blocks of a document."""
    text = path.read_text()
    return [(text.count("\n", 0, found.start()) + 1, *found.groups())
            for found in FENCE.finditer(text)]


def blocks(*kinds):
    return [pytest.param(text, id=f"{name_of(path)}:{line}") for path in DOCS
            for line, kind, text in blocks_of(path) if kind in kinds]


def run(*argv, env=None, **how):
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True,
                          timeout=60, check=False, env={"PATH": PATH, "LC_ALL": "C.UTF-8",
                                                        **(env or {})}, **how)


def test_every_block_says_what_it_is():
    kinds = {kind for path in DOCS for _, kind, _ in blocks_of(path)}
    assert len(DOCS) >= 8 and kinds <= KINDS, kinds - KINDS


# ---- commands


def differences(said, got, at="answer"):
    """Where an example and what was printed differ in members or types."""
    if isinstance(said, dict) and isinstance(got, dict):
        if set(said) != set(got):
            return [f"{at}: members {sorted(set(said) ^ set(got))} only on one side"]
        return [text for name in said for text in differences(
            said[name], got[name], f"{at}.{name}")]
    numbers = (int, float)
    alike = type(said) is type(got) or (type(said) in numbers and type(got) in numbers)
    if not alike:
        return [f"{at}: {said!r} is not like {got!r}"]
    if at.count(".") == 1 and at.split(".")[1] in EXACT and said != got:
        return [f"{at}: {said!r} is not {got!r}"]
    return []


def assert_printed(kind, said, printed):
    if kind == "json":
        troubles = differences(json.loads(said), json.loads(printed))
    else:
        lines, got = said.splitlines(), printed.splitlines()
        names = {line.split(":")[0].lower() for line in got[1:]}
        troubles = [line for line in lines[1:] if line.split(":")[0].lower() not in names]
        troubles += [] if lines[0] == got[0].strip() else [f"{lines[0]}: was {got[0]}"]
    assert not troubles, "\n".join(troubles)


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_commands_run_and_print_what_is_shown(path, site, tmp_path):
    todo = blocks_of(path)
    if not any(kind == "sh" for _, kind, _ in todo):
        assert "```sh" not in path.read_text()
        return
    one = site(llm=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "textmill").symlink_to(built_program())
    (tmp_path / "bin" / "textmillctl").symlink_to(CTL)
    places = {"http://127.0.0.1:8080": one.url,
              "/run/redis-textmill/redis-server.sock": one.dir / "run" / "redis.sock",
              "/var/log/textmill/textmill.log": one.dir / "log" / "textmill.log"}
    env = {"PATH": f"{tmp_path}/bin:{PATH}", "HOME": str(tmp_path), "KEY": USER_KEY,
           "ADMIN_API_KEY": ADMIN_KEY, "TEXTMILL_CONF": str(one.conf)}
    for at, (line, kind, text) in enumerate(todo):
        if kind != "sh":
            continue
        for place, ours in places.items():
            text = text.replace(place, str(ours))
        done = run("bash", "-eu", "-o", "pipefail", "-c", text, env=env, cwd=tmp_path)
        where = f"{name_of(path)}:{line}"
        assert done.returncode == 0, f"{where}: {done.stdout}{done.stderr}"
        assert done.stdout or ">" in text, f"{where}: printed nothing"
        assert not re.search(r"^\(?(error|ERR)\b", done.stdout, re.M), f"{where}: {done.stdout}"
        if at + 1 < len(todo) and todo[at + 1][1] in ("json", "http"):
            assert_printed(*todo[at + 1][1:], done.stdout)
        elif "/v1/process" in text:
            assert '"success":true' in done.stdout, f"{where}: {done.stdout}"


@pytest.mark.parametrize("text", blocks("console"))
def test_commands_for_root_are_at_least_shell(text):
    assert run("bash", "-n", "-c", text).stderr == ""


def test_commands_name_scripts_options_and_tests_that_exist():
    units = "".join(path.read_text() for path in ROOT.glob("tests/unit/test_*.c"))
    for path in DOCS:
        for line, kind, text in blocks_of(path):
            if kind not in ("sh", "console"):
                continue
            where = f"{name_of(path)}:{line}"
            for command in text.splitlines():
                found = re.match(r"(?:\S+=\S+ )*(scripts/\w+|tests/lint/\w+)(.*)", command)
                if found:
                    script = ROOT / found[1]
                    assert os.access(script, os.X_OK), f"{where}: {found[1]}"
                    for option in re.findall(r"--[\w-]+", found[2].split("#")[0]):
                        assert option in script.read_text(), f"{where}: {found[1]} {option}"
                for suite, test in re.findall(r"--filter '(\w+)/(\w+|\*)'", command):
                    wanted = rf"Test\({suite}, " + ("" if test == "*" else rf"{test}\b")
                    assert re.search(wanted, units), f"{where}: {suite}/{test}"
                for file in re.findall(r"tests/integration/\w+\.py", command):
                    assert (ROOT / file).is_file(), f"{where}: {file}"


# ---- configuration


@pytest.fixture
def etc(tmp_path):
    """Fills in the places that documents use; etc(text) -> text."""
    key = run(CTL, "key", "new", "--user", "ann")
    for name, text in {"keys": key.stdout, "openai.key": "sk-0123456789"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "apache").symlink_to(ROOT / "apache")

    def fill_in(text):
        for place in ("/etc/textmill", "/home/you/textmill", "/run/redis-textmill",
                      "/run/textmill", "/var/log/textmill", "/var/lib/redis", "/var/log/redis"):
            text = text.replace(place, str(tmp_path))
        if os.geteuid() != 0:    # nobody but root gives a socket away
            text = text.replace('"www-data"', f'"{grp.getgrgid(os.getegid()).gr_name}"')
        return text

    return fill_in


@pytest.mark.parametrize("text", blocks("conf"))
def test_configuration_is_taken_by_textmill(text, etc, tmp_path):
    conf = tmp_path / "textmill.conf"
    conf.write_text(etc(text))
    done = run(built_program(), "-t", "-c", conf, env={"USER_API_KEY": USER_KEY})
    assert done.returncode == 0 and "good" in done.stderr, done.stderr


@pytest.mark.parametrize("text", blocks("nginx"))
def test_configuration_is_taken_by_nginx(text, etc, tmp_path):
    upstream = "" if "upstream" in text else "upstream textmill { server unix:/x.sock; }\n"
    text = etc(text)
    if text.startswith("location"):
        text = f"server {{ listen 127.0.0.1:8080;\n{text}}}"
    for name in ("textmill.conf", "textmill_params"):
        shutil.copy(ROOT / "nginx" / name, tmp_path)
    temps = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n"
                    for kind in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nevents {{ }}\n"
        f"http {{\naccess_log off;\n{temps}{upstream}{text}}}\n")
    done = run("nginx", "-t", "-p", f"{tmp_path}/", "-c", tmp_path / "nginx.conf")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", blocks("apache"))
def test_configuration_is_taken_by_apache(text, etc, tmp_path):
    sample = re.search(r"apache/(\w+)\.conf", text)[1]
    (tmp_path / "sample.conf").write_text(etc(text))
    frame = (ROOT / "scripts" / "lib" / "apache.conf.in").read_text()
    frame = frame.replace("@DIR@/web/@SAMPLE@", f"{tmp_path}/sample.conf")
    frame = re.sub(r"^Define TEXTMILL_MOUNT.*\n", "", frame, flags=re.M)
    for word, value in {"DIR": tmp_path, "PORT": 8080, "MODULES": MODULES, "EXTRA": "",
                        "PROGRAM": built_program()}.items():
        frame = frame.replace(f"@{word}@", str(value))
    for name in ("web", "run", "log", "htdocs"):
        (tmp_path / name).mkdir()
    (tmp_path / "web" / "environment.conf").write_text("")
    (tmp_path / "apache.conf").write_text(frame)
    done = run("apache2", "-t", "-D", sample, "-f", tmp_path / "apache.conf")
    assert done.returncode == 0 and "Syntax OK" in done.stderr, done.stderr


@pytest.mark.parametrize("text", blocks("redis"))
def test_configuration_is_taken_by_redis(text, etc, tmp_path):
    (tmp_path / "redis.conf").write_text(etc(text))
    server = subprocess.Popen(["redis-server", tmp_path / "redis.conf", "--daemonize", "no"])
    try:
        asked = "until redis-cli -s redis-server.sock ping 2>&1 | grep -q PONG; do sleep 0.05; done"
        done = run("timeout", "10", "bash", "-c", asked, cwd=tmp_path)
        assert done.returncode == 0 and server.poll() is None
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
@pytest.mark.parametrize("text", blocks("ini"))
def test_service_file_is_taken_by_systemd(text, tmp_path):
    unit = tmp_path / "textmill.service"
    unit.write_text(text.replace("/usr/sbin/textmill", str(built_program())))
    done = run("systemd-analyze", "verify", "--man=no", unit)
    troubles = [line for line in done.stderr.splitlines() if "textmill.service" in line]
    assert not troubles, done.stderr


# ---- names


def anchors(path):
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", path.read_text(), re.M)}


def test_links_lead_somewhere():
    count = 0
    for path in DOCS:
        for target in re.findall(r"\]\(([^)]+)\)", FENCE.sub("", path.read_text())):
            file, _, anchor = target.partition("#")
            if "://" in file:
                continue
            count += 1
            there = (path.parent / file) if file else path
            assert there.exists(), f"{name_of(path)}: {target}"
            assert not anchor or anchor in anchors(there), f"{name_of(path)}: {target}"
    assert count > 20


@pytest.fixture(scope="module")
def sample():
    return run(CTL, "config", "sample").stdout


@pytest.fixture(scope="module")
def settings(sample):
    """Names of all settings: "listen", "limit.minute", "provider.url"."""
    names, section = {"auth.admin_key", "auth.user_key"}, ""
    for line in sample.splitlines():
        opened = re.match(r'#?(\w+)(?: "\w+")? \{$', line)
        found = re.match(r"\t?#(\w+) = ", line)
        if opened:
            section = opened[1]
        elif line in ("}", "#}"):
            section = ""
        elif found:
            names.add(f"{section}.{found[1]}" if section else found[1])
    assert len(names) > 50 and "provider.url" in names
    return names


def test_settings_named_exist(settings):
    sections = {name.split(".")[0] for name in settings if "." in name}
    count = 0
    for path in DOCS:
        for name in re.findall(r"`(\w+\.\w+)(?: = [^`]*)?`", path.read_text()):
            if name.split(".")[0] in sections and not name.endswith((".c", ".h", ".py")):
                count += 1
                assert name in settings, f"{name_of(path)}: {name}"
    assert count > 30


def test_pages_name_settings_that_exist(settings):
    for path in PAGES:
        text = path.read_text().replace("\\-", "-")
        for section, name in re.findall(r"\b(pool|auth|redis|limit|limits|cache|llm)\.(\w+)", text):
            assert f"{section}.{name}" in settings, f"{path.name}: {section}.{name}"
    assert len(PAGES) == 3


def test_variables_named_exist(sample):
    known = set(re.findall(r"Environment: (\w+)\.", sample)) | NO_SETTING
    for path in [*DOCS, *PAGES]:
        for name in re.findall(r"\b(TEXTMILL(?:CTL)?_[A-Z_]+[A-Z])\b", path.read_text()):
            assert name in known, f"{path.name}: {name}"
    assert "TEXTMILL_LIMIT_MINUTE" in known


def test_files_named_exist():
    own = r"`((?:src|tests|scripts|etc|man|apache|nginx|docs)/[\w./-]+)`"
    count = 0
    for path in DOCS:
        for name in re.findall(own, FENCE.sub("", path.read_text())):
            if "MODULE" in name:
                continue
            count += 1
            assert (ROOT / name).exists(), f"{name_of(path)}: {name}"
    assert count > 30


def test_api_page_has_every_route_and_every_error_and_no_other():
    text = (ROOT / "docs" / "api.md").read_text()
    said = {(method.lower(), path) for method, path in re.findall(
        r"^\| (GET|POST|DELETE) `(\S+)` \|", text, re.M)}
    contract = json.loads((ROOT / "openapi.json").read_text())
    assert said == {(method, path) for path, methods in contract["paths"].items()
                    for method in methods if method in ("get", "post", "delete")}
    codes = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.M))
    source = (ROOT / "src" / "api" / "problem.c").read_text()
    assert codes == set(re.findall(r'= \{(\d{3}), "(\w+)"', source))


# ---- manual pages


def options_in(text):
    return set(re.findall(r"(?<![\w-])(--[a-z]+|-[a-zA-Z])\b", text))


def test_every_option_of_textmill_is_in_its_page_and_no_other():
    page = (ROOT / "man" / "textmill.8").read_text().replace("\\-", "-")
    there = options_in(page.split(".SH OPTIONS")[1].split(".SH SIGNALS")[0])
    helped = run(built_program(), "--help").stdout
    assert there == options_in(helped)


def test_every_command_of_textmillctl_is_in_its_page_and_no_other():
    page = (ROOT / "man" / "textmillctl.1").read_text().replace("\\-", "-")
    parts = dict(re.findall(r"^\.SS (.*?)\n(.*?)(?=^\.S[SH])", page, re.M | re.S))
    commands = re.findall(r"^  (\w+(?: \w+)?)  +\S", run(CTL, "--help").stdout, re.M)
    assert set(parts) == set(commands) and len(commands) >= 5
    for command in commands:
        synopsis = run(CTL, *command.split(), "--help").stdout.splitlines()[0]
        there = options_in(parts[command]) - {"--config"}
        assert there == options_in(synopsis), command


def test_generated_parts_are_up_to_date():
    done = run(ROOT / "scripts" / "settings", "--check", CTL)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not (shutil.which("man") and shutil.which("groff")), reason="no man here")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_have_no_troff_mistakes(page):
    done = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page)
    assert done.returncode == 0 and done.stderr == "", done.stderr
