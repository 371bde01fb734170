"""A whole site: web server, textmill, Redis and LLM, put together for one test."""

import contextlib

from .apache import Apache
from .http import Client
from .llm import LLM
from .nginx import Nginx
from .pool import Pool, conf_text
from .proc import Workdir
from .redis_server import RedisServer

ADMIN_KEY = "admin-key-of-the-tests-0123456789"
USER_KEY = "user-key-of-the-tests-0123456789"
PROVIDER_KEY = "provider-key-of-the-tests-0123456789"
SERVERS = ("nginx", "apache-proxy", "mod_fcgid", "cgi")

# Settings without limits, for tests of other things.
FREE = {"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 0}

# Every key expires but these, which stay until somebody deletes them.
LASTING_KEYS = ("key:", "settings")


class Site:
    """What a test talks to.

    Without providers the LLM is the one of the environment; with them, {"main": {"kind": ...}},
    they are all there are.

    http    client with the user's key; http.with_key(ADMIN_KEY), http.with_key(None)
    llm     scripted LLM (lib.llm.LLM), or None; one may be given, which stops with the site
    redis   lib.redis_server.RedisServer, or None
    pool    lib.pool.Pool, or None where the web server starts textmill
    web     lib.nginx.Nginx or lib.apache.Apache, or None for server=None
    """

    def __init__(self, program, server="nginx", workers=2, settings=None, env=None, redis=True,
                 llm=True, mount="", extra="", redis_options=None, aof=False, providers=None,
                 into=None):
        self.dir = Workdir()
        if into is not None:
            into.append(self.dir)
        self.llm = self.redis = self.pool = self.web = self.http = None
        self.prefix = "tm:"
        try:
            if llm:
                self.llm = LLM(PROVIDER_KEY) if llm is True else llm
            if redis:
                self.redis = RedisServer(self.dir, aof=aof, options=redis_options).start()
            self._configure(workers, settings or {}, env or {}, server, providers)
            self._start(program, server, mount, extra)
        except BaseException:
            with contextlib.suppress(AssertionError):
                self.close()
            raise

    def _configure(self, workers, settings, env, server, providers):
        base = {
            "log.target": self.dir / "log" / "textmill.log",
            "redis.url": f"unix://{self.dir}/run/redis.sock",
        }
        if server in ("nginx", "apache-proxy", None):
            base["listen"] = self.dir / "run" / "textmill.sock"
            base["pool.workers_max"] = workers
            base["pool.job_workers"] = 0
        base.update(settings)
        sections = {f"provider {name}": rows for name, rows in (providers or {}).items()}
        self.conf = self.dir.write("conf/textmill.conf", conf_text({**base, **sections}))
        self.workers = int(env.get("TEXTMILL_POOL_WORKERS_MAX")
                           or base.get("pool.workers_max", workers))
        self.prefix = settings.get("redis.prefix", self.prefix)
        sanitizer = f"log_path={self.dir}/log/sanitizer"
        self.env = {
            "ADMIN_API_KEY": ADMIN_KEY, "USER_API_KEY": USER_KEY,
            "TEXTMILL_CONF": str(self.conf),
            "ASAN_OPTIONS": sanitizer, "UBSAN_OPTIONS": f"{sanitizer}:print_stacktrace=1",
        }
        if self.llm and providers is None:
            self.env.update(OPENAI_BASE_URL=self.llm.url, OPENAI_API_KEY=PROVIDER_KEY)
        self.env.update(env)
        self.env = {name: value for name, value in self.env.items() if value is not None}

    def _start(self, program, server, mount, extra):
        if server in ("nginx", "apache-proxy", None):
            self.pool = Pool(self.dir, program, self.env, self.conf, self.workers)
            self.pool.start()
        if server == "nginx":
            self.web = Nginx(self.dir, mount, extra).start()
        elif server is not None:
            variant = "mod_proxy_fcgi" if server == "apache-proxy" else server
            self.web = Apache(self.dir, variant, program, self.env, mount, extra).start()
        if self.web:
            self.http = Client(self.web.port, mount, USER_KEY)

    @property
    def log(self):
        """All that textmill has logged, and said on standard error."""
        names = ("textmill.log", "textmill.err")
        return "".join(text for name, text in self.dir.logs() if name in names)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.port}{self.http.mount}"

    def process(self, text="The quick brown fox jumps over the lazy dog, again and again.",
                operation="summarize", http=None, headers=None, **more):
        """POST /v1/process; returns the Response."""
        return (http or self.http).post(
            "/v1/process", json={"text": text, "operation": operation, **more}, headers=headers)

    def lasting_keys(self):
        """Keys under our prefix that never expire and should."""
        if not self.redis or not self.redis.process or self.redis.ended():
            return []
        if self.redis.paused:
            self.redis.resume()
        kept = tuple(self.prefix + name for name in LASTING_KEYS)
        return [key for key in self.redis.keys_without_expiry(f"{self.prefix}*")
                if not key.startswith(kept)]

    def close(self):
        """Stops everything, front to back; then says what went wrong on the way."""
        troubles = []

        def attempt(action):
            try:
                return action()
            except Exception as trouble:    # the rest must still be stopped
                troubles.append(str(trouble))
                return None

        if self.llm:
            self.llm.release()
        for server in (self.web, self.pool):
            if server:
                attempt(server.stop)
        lasting = attempt(self.lasting_keys)
        if lasting:
            troubles.append(f"keys without expiry: {lasting}")
        for server in (self.llm, self.redis):
            if server:
                attempt(server.stop)
        assert not troubles, "; ".join(troubles)
