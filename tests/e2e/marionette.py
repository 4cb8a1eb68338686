# SPDX-License-Identifier: ISC
"""Marionette, the remote control of Mozilla's programs: scripts run inside, with all their interfaces."""
import json
import socket
import time


class Marionette:
    def __init__(self, port, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", port), 10)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self.sock.settimeout(40)
        self.id = 0
        self.read()
        self.call("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})
        self.call("Marionette:SetContext", {"value": "chrome"})
        self.call("WebDriver:SetTimeouts", {"script": 110000})

    def read(self):
        size = b""
        while not size.endswith(b":"):
            size += self.more(1)
        return json.loads(self.more(int(size[:-1])))

    def more(self, count):
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise EOFError("it has ended")
            data += part
        return data

    def call(self, name, params):
        self.id += 1
        text = json.dumps([0, self.id, name, params])
        self.sock.sendall(f"{len(text.encode())}:{text}".encode())
        _, _, error, result = self.read()
        assert not error, error
        return result

    def run(self, script, *args):
        """The body of an async function; what it returns."""
        wrapped = ("const done = arguments[arguments.length - 1]; const args = [...arguments].slice(0, -1);"
                   "(async () => {" + script + "})().then(v => done({value: v}), e => done({error: String(e) + e.stack}));")
        answer = self.call("WebDriver:ExecuteAsyncScript", {"script": wrapped, "args": list(args), "newSandbox": True})
        assert "error" not in answer["value"], answer["value"]["error"]
        return answer["value"].get("value")

    def close(self):
        self.sock.close()
