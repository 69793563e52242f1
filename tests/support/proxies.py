"""nginx and Caddy with the files of docs/deploy, in front of real servers, on a free port."""

import os
import signal
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import needs
from tests.support.server import ROOT, Server, free_port, wait_for

FILES = ROOT / "docs" / "deploy"
AS_ROOT = "user root;" if os.geteuid() == 0 else ""  # another user could not enter our directory
NAME = "cortex.example.org"  # in the files; here everything is localhost


@dataclass(frozen=True)
class Certificate:
    """A certificate for localhost that signs itself, and its key."""

    cert: Path
    key: Path

    @classmethod
    def make(cls, directory: Path) -> "Certificate":
        made = cls(directory / "cert.pem", directory / "key.pem")
        subprocess.run(
            [
                needs.program("openssl"), "req", "-x509", "-nodes", "-days", "2",
                "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                "-keyout", made.key, "-out", made.cert,
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        return made


@dataclass
class Proxy:
    """kind: "nginx" or "caddy" · servers: what it stands in front of.

    port, url, token, env, host, http, ca_file and connect are those of a `Server`, so that
    sockets, crowds and writers may be pointed at it.
    """

    kind: str
    directory: Path
    servers: list[Server]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    host = "localhost"
    http = "HTTP/1.0"  # the answer as it is, without chunks around its bytes

    def __post_init__(self) -> None:
        self.program = needs.program(self.kind)
        self.directory.mkdir()
        self.certificate = Certificate.make(self.directory)
        self.ca_file = str(self.certificate.cert)
        self._tls = ssl.create_default_context(cafile=self.ca_file)
        self.url = f"https://{self.host}:{self.port}"
        self.env = self.servers[0].env | {"CORTEX_URL": self.url}
        self.log_path = self.directory / "proxy.log"

    @property
    def token(self) -> str:
        return self.servers[0].token

    def start(self) -> "Proxy":
        argv = self._nginx() if self.kind == "nginx" else self._caddy()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=self.directory, env=self.env | {"HOME": str(self.directory)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(self._accepts, f"{self.kind} listens; it said: {self.log()}")
        return self

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def connect(self, rcvbuf: int | None = None) -> ssl.SSLSocket:
        """A TLS connection that speaks HTTP/1.1. Raises OSError."""
        plain = Server.connect(self, rcvbuf)
        try:
            return self._tls.wrap_socket(plain, server_hostname=self.host)
        except OSError:
            plain.close()
            raise

    def _accepts(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def _nginx(self) -> list[str]:
        text = _replaced(
            "nginx.conf",
            {
                "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
                "listen 80;": f"listen 127.0.0.1:{free_port()};",
                "/etc/ssl/cortex.pem": str(self.certificate.cert),
                "/etc/ssl/cortex.key": str(self.certificate.key),
                NAME: "localhost",
                "    server 127.0.0.1:4747 max_fails=0;\n": "".join(
                    f"    server 127.0.0.1:{server.port} max_fails=0;\n" for server in self.servers
                ),
            },
        )
        (self.directory / "cortex.conf").write_text(text)
        temporary = "".join(
            f"{kind}_temp_path {kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.directory / "nginx.conf").write_text(
            f"daemon off; pid pid; error_log stderr; worker_processes 1; {AS_ROOT}\n"
            "events { worker_connections 4096; }\n"
            f"http {{\naccess_log access.log;\n{temporary}include cortex.conf;\n}}"
        )
        return [self.program, "-p", str(self.directory), "-c", "nginx.conf"]

    def _caddy(self) -> list[str]:
        text = _replaced(
            "Caddyfile",
            {
                f"{NAME} {{\n": f"https://localhost:{self.port} {{\n\ttls cert.pem key.pem\n",
                f"Host {NAME}": "Host localhost",
                "127.0.0.1:4747": " ".join(f"127.0.0.1:{server.port}" for server in self.servers),
            },
        )
        if not self._is_single:
            text = text.replace("# health_", "health_").replace("# \tHost", "Host")
            text = text.replace("# }", "}")
        options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
        (self.directory / "Caddyfile").write_text(options + text)
        return [self.program, "run", "--config", "Caddyfile", "--adapter", "caddyfile"]

    @property
    def _is_single(self) -> bool:
        return len(self.servers) == 1


def _replaced(name: str, changes: dict[str, str]) -> str:
    """The text of a file of docs/deploy with these changes, each of which must apply."""
    text = (FILES / name).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"docs/deploy/{name} has no {old!r} any more"
        text = text.replace(old, new)
    return text
