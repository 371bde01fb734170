"""Certificates for one test, made by the openssl program: an authority of its own, and servers'
certificates that are right or wrong in one way."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Certificate:
    """Paths of PEM files."""
    cert: Path
    key: Path


class Authority:
    """Its own certificate is ca_file. Files go below workdir's conf/, readable by the servers."""

    def __init__(self, workdir, name="authority"):
        self.workdir, self.name = workdir, name
        self.ca_file = self._path(f"{name}.pem")
        self.count = 0
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-keyout", self._path(f"{name}.key"), "-out", self.ca_file,
                      "-subj", f"/CN={name}", "-days", "2",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        workdir.give(self.ca_file)

    def _path(self, name):
        return self.workdir / "conf" / name

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done

    def certificate(self, names="DNS:localhost,IP:127.0.0.1", expired=False):
        """A server's certificate for these names, valid today or until yesterday."""
        self.count += 1
        stem = f"{self.name}-{self.count}"
        made = Certificate(self._path(f"{stem}.pem"), self._path(f"{stem}.key"))
        request = self._path(f"{stem}.csr")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-keyout", made.key, "-out", request, "-subj", "/CN=server")
        extensions = self.workdir.write(f"conf/{stem}.ext", f"subjectAltName={names}\n"
                                        "basicConstraints=CA:FALSE\n"
                                        "extendedKeyUsage=serverAuth\n")
        days = ["-days", "-1"] if expired else ["-days", "1"]
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca_file,
                      "-CAkey", self._path(f"{self.name}.key"), "-set_serial", self.count,
                      "-extfile", extensions, "-out", made.cert, *days)
        return made
