"""A private Apache that uses the samples in apache/ of the source tree as they are."""

import shutil

from .proc import ROOT, Daemon, accepts, start_on_free_port

MODULES = "/usr/lib/apache2/modules"

# A hoster's part of a virtual host whose customer copied htaccess.example.
HTACCESS_HOST = """\
Alias "{mount}/" "{dir}/htdocs/"
<Directory "{dir}/htdocs">
	Require all granted
	AllowOverride All
	Options None
</Directory>
"""

SAMPLES = {  # variant: the sample, the modules it needs
    "mod_proxy_fcgi": ("mod_proxy_fcgi.conf", ["mod_proxy_fcgi"]),
    "mod_fcgid": ("mod_fcgid.conf", ["mod_fcgid"]),
    "cgi": ("cgi.conf", ["cgi"]),
    "htaccess": (None, ["mod_fcgid"]),
    "htaccess-cgi": (None, ["cgi"]),
}


def quoted(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Apache(Daemon):
    """Apache in one of its set-ups.

    variant  a name in SAMPLES
    program  the textmill binary, for the variants where Apache starts it
    env      what textmill must find in its environment there
    mount    "" for the root of the host, or "/ai"
    extra    lines at the end of the virtual host
    """

    name = "apache"

    def __init__(self, workdir, variant, program, env, mount="", extra=""):
        super().__init__(workdir)
        self.variant, self.program, self.env = variant, program, env
        self.mount, self.extra = mount, extra
        self.port = 0
        self.sample, self.modules = SAMPLES[variant]
        if self.sample:
            shutil.copyfile(ROOT / "apache" / self.sample, workdir / "web" / self.sample)
            workdir.give(workdir / "web" / self.sample)
        else:
            self.sample = "htaccess-host.conf"
            self._shared_hosting()
        self._environment()

    def _shared_hosting(self):
        self.workdir.write("web/htaccess-host.conf", HTACCESS_HOST.format(
            mount=self.mount, dir=self.workdir))
        self.workdir.write("htdocs/.htaccess",
                           (ROOT / "apache" / "htaccess.example").read_text())
        exports = "".join(f"{name}='{value}'\nexport {name}\n"
                          for name, value in self.env.items())
        self.workdir.write("htdocs/textmill.fcgi",
                           f"#!/bin/sh\n{exports}exec {self.program}\n", mode=0o755)

    def _environment(self):
        if self.variant == "mod_fcgid":
            lines = [f"FcgidInitialEnv {name} {quoted(value)}" for name, value in self.env.items()]
        elif self.variant == "cgi":
            lines = [f"PassEnv {name}" for name in self.env]
        else:
            lines = []
        self.workdir.write("web/environment.conf", "".join(line + "\n" for line in lines))

    def _try(self, port):
        conf = self.workdir.fill_in(
            "apache.conf.in", "web/apache.conf", PORT=port, MOUNT=f"{self.mount}/",
            MODULES=MODULES, PROGRAM=self.program, SAMPLE=self.sample, EXTRA=self.extra)
        pid_file = self.workdir / "run" / "apache.pid"
        defines = [word for module in self.modules for word in ("-D", module)]
        env = self.env if self.variant == "cgi" else {}
        self.spawn(["apache2", "-D", "FOREGROUND", *defines, "-f", conf], env)
        # Only with the pid file written is it our Apache that has the port.
        if self.await_ready(lambda: pid_file.exists() and accepts(("127.0.0.1", port))):
            self.port = port
            return self
        assert "Address already in use" in self.errors(), self.errors()
        return None

    def start(self):
        return start_on_free_port(self._try)
