# SPDX-License-Identifier: ISC
"""An engine that answers as CAPEv2's apiv2 does and opens nothing: scores go by a word in the file or the link."""
import email
import email.policy
import hashlib
import http.server
import json
import re
import socket
import socketserver
import threading
import time
import urllib.parse

MALICIOUS = b"MALICIOUS-WHEN-OPENED"


class FakeCape:
    """start() -> url bits in .address; .tasks is what was made, .requests what was asked; .close().

    seconds: until a task is reported. fault: what is done instead of answering, or None: "500", "garbage", "429",
    "huge", "cut" (the connection, in the middle of an answer), "hang".
    """

    def __init__(self, token="secret-token", seconds=0.0, path=None, tls=None):
        self.path, self.tls = path, tls
        self.token, self.seconds, self.fault, self.port = token, seconds, None, 0
        self.fault_on = re.compile("")
        self.tasks, self.requests, self.refused = {}, [], 0
        self.search_disabled = self.no_score_in_view = False
        self.lock = threading.Lock()
        self.server = None

    def start(self):
        cape = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                cape.handle(self, b"")

            def do_POST(self):
                cape.handle(self, self.rfile.read(int(self.headers["Content-Length"])))

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        class Local(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        if self.path:
            self.server = Local(str(self.path), Handler)
        else:
            self.server = Server(("127.0.0.1", self.port), Handler)
            self.port = self.server.server_port
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    @property
    def address(self):
        return f"unix:{self.path}" if self.path else f"127.0.0.1@{self.port}"

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    # ---- answers ----

    @staticmethod
    def say(request, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        for name, value in headers:
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def misbehave(self, request, fault):
        if fault == "500":
            self.say(request, 500, b"<h1>Server Error (500)</h1>")
        elif fault == "garbage":
            self.say(request, 200, b'{"error": false, "data": [[[[' + bytes(range(256)))
        elif fault == "429":
            self.say(request, 429, {"detail": "Request was throttled. Expected available in 1 second."},
                     [("Retry-After", "1")])
        elif fault == "huge":
            request.send_response(200)
            request.send_header("Content-Length", str(1 << 30))
            request.end_headers()
            for _ in range(1 << 12):
                request.wfile.write(b" " * (1 << 18))
        elif fault == "cut":
            request.send_response(200)
            request.send_header("Content-Length", "1000")
            request.end_headers()
            request.wfile.write(b'{"error": ')
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "hang":
            time.sleep(30)
        request.close_connection = True

    def handle(self, request, body):
        path, _, query = request.path.partition("?")
        with self.lock:
            self.requests.append((request.command, request.path))
        if request.headers.get("Authorization") != f"Token {self.token}":
            self.refused += 1
            self.say(request, 401, {"detail": "Invalid token."})
            return
        fault = self.fault
        if fault and self.fault_on.search(path):
            try:
                self.misbehave(request, fault)
            except OSError:
                request.close_connection = True
            return
        for method, pattern, answer in (
                ("GET", r"/apiv2/tasks/search/sha256/([0-9a-f]{64})/", self.search),
                ("GET", r"/apiv2/tasks/list/(\d+)/", self.list),
                ("POST", r"/apiv2/tasks/create/(file|url)/", self.create),
                ("GET", r"/apiv2/tasks/status/(\d+)/", self.status),
                ("GET", r"/apiv2/tasks/view/(\d+)/", self.view),
                ("GET", r"/apiv2/tasks/get/iocs/(\d+)/", self.iocs)):
            found = re.fullmatch(pattern, path)
            if found and method == request.command:
                with self.lock:
                    answered = answer(found[1], urllib.parse.parse_qs(query), request, body)
                self.say(request, 200, answered)
                return
        self.say(request, 404, b"<h1>Not Found</h1>")

    # ---- tasks ----

    def state(self, task):
        if task["status"] == "pending" and time.monotonic() - task["made"] >= self.seconds:
            task["status"] = "reported"
        return task["status"]

    def shown(self, task):
        return {"id": task["id"], "sample_id": task["sample_id"], "category": task["category"],
                "target": task["target"], "options": task["options"], "status": self.state(task)}

    def search(self, sha256, query, request, body):
        if self.search_disabled:
            return {"error": True, "error_value": "Task Search API is Disabled"}
        found = [self.shown(t) for t in self.tasks.values() if t["sha256"] == sha256]
        return {"data": found, "error": []} if found else {"data": [], "error": False}

    def list(self, limit, query, request, body):
        option = query["option"][0]
        found = [self.shown(t) for t in self.tasks.values()
                 if t["category"] == query["category"][0] and option in t["options"]]
        return {"data": found[:int(limit)], "config": "", "buf": len(found)}

    def create(self, kind, query, request, body):
        if kind == "file":
            head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
            parts = email.message_from_bytes(head + body, policy=email.policy.HTTP).iter_parts()
            fields = {part.get_param("name", header="content-disposition"): part for part in parts}
            assert set(fields) == {"file", "options"}
            data, target = fields["file"].get_payload(decode=True), fields["file"].get_filename()
            options = fields["options"].get_payload(decode=True).decode()
        else:
            form = urllib.parse.parse_qs(body.decode())
            target, options = form["url"][0], form["options"][0]
            data = target.encode()
        number = len(self.tasks) + 1
        self.tasks[number] = {"id": number, "sample_id": number if kind == "file" else None, "category": kind,
                              "target": target, "options": options, "status": "pending", "made": time.monotonic(),
                              "sha256": hashlib.sha256(data).hexdigest() if kind == "file" else None, "data": data}
        return {"error": [], "errors": [], "data": {"task_ids": [number],
                                                    "message": f"Task ID {number} has been submitted"}}

    def status(self, number, query, request, body):
        task = self.tasks.get(int(number))
        if task is None:
            return {"error": True, "error_value": "Task does not exist"}
        return {"error": False, "data": self.state(task)}

    def scored(self, task):
        is_bad = MALICIOUS in task["data"]
        return {"malscore": 9.2 if is_bad else 0.4,
                "detections": [{"family": "Emotet", "details": []}] if is_bad else None}

    def view(self, number, query, request, body):
        task = self.tasks[int(number)]
        shown = self.shown(task)
        if shown["status"] == "reported" and not self.no_score_in_view:
            shown.update(self.scored(task))
        return {"error": False, "data": shown}

    def iocs(self, number, query, request, body):
        return {"error": False, "data": {"info": {"id": int(number)}, **self.scored(self.tasks[int(number)])}}
