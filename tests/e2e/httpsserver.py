# SPDX-License-Identifier: ISC
"""HTTPS servers on loopback, with certificates of an authority of their own."""
import http.server
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading


class Authority:
    """A CA in a folder of its own: certificate(names) makes (cert, key); .path is what a client trusts."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hk-ca-"))
        self.dir.chmod(0o755)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem")
        self.count = 0

    @property
    def path(self):
        return str(self.dir / "ca.pem")

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.dir, check=True, capture_output=True, timeout=60)

    def certificate(self, names, days=10):
        self.count += 1
        stem = f"server{self.count}"
        (self.dir / f"{stem}.ext").write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={names[0]}",
                     "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        self.openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", str(days), "-extfile", f"{stem}.ext", "-out", f"{stem}.pem")
        return str(self.dir / f"{stem}.pem"), str(self.dir / f"{stem}.key")

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class HttpsServer:
    """pages: path -> function(handler). hits: [(Host header, path)]. certificates: name -> (cert, key), chosen by SNI;
    "" is for every other name."""

    def __init__(self, certificates, pages):
        outer = self
        self.hits = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.hits.append((self.headers.get("Host", ""), self.path))
                page = pages.get(self.path)
                if page is None:
                    self.send_error(404)
                else:
                    page(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request, client_address):
                try:
                    super().finish_request(outer.wrap(request), client_address)
                except OSError:
                    pass

            def handle_error(self, *_):
                pass

        self.contexts = {}
        for name, (cert, key) in certificates.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.contexts[name] = context
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wrap(self, request):
        first = self.contexts.get("") or next(iter(self.contexts.values()))

        def choose(sock, name, _):
            sock.context = self.contexts.get(name, first)
        first.sni_callback = choose
        request.settimeout(20)
        return first.wrap_socket(request, server_side=True)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def page(body, status=200, kind="text/plain", **headers):
    """A page that always says the same."""
    data = body if isinstance(body, bytes) else body.encode()

    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)
    return answer
