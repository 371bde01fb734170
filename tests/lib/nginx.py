"""A private nginx that uses nginx/textmill.conf of the source tree as it is."""

import shutil

from .proc import ROOT, Daemon, accepts, start_on_free_port


class Nginx(Daemon):
    """mount: "" for the root of the host, or "/ai"; extra: lines inside the location."""

    name = "nginx"

    def __init__(self, workdir, mount="", extra="", env=None):
        super().__init__(workdir)
        self.mount, self.extra = mount, extra
        self.port = 0
        self.env = env or {}
        for sample in ("textmill.conf", "textmill_params"):
            copy = workdir / "web" / sample
            shutil.copyfile(ROOT / "nginx" / sample, copy)
            workdir.give(copy)

    def _try(self, port):
        conf = self.workdir.fill_in("nginx.conf.in", "web/nginx.conf", PORT=port,
                                    PREFIX=self.mount, EXTRA=self.extra)
        pid_file = self.workdir / "run" / "nginx.pid"
        self.spawn(["nginx", "-p", f"{self.workdir}/", "-c", conf], self.env)
        # Only with the pid file written is it our nginx that has the port.
        if self.await_ready(lambda: pid_file.exists() and accepts(("127.0.0.1", port))):
            self.port = port
            return self
        assert "Address already in use" in self.errors(), self.errors()
        return None

    def start(self):
        return start_on_free_port(self._try)
