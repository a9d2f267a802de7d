#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What Entra ID is to a client that logs in by its own secret: says where tokens are to be had, and gives one to whoever
names the client and its secret; beside it the one answer of the resource manager that az asks for, no subscriptions.

The token is what TOKEN_FILE holds at that time. Prints its address, then a line for each request for a token. Usage:
authority.py CERTIFICATE KEY CLIENT SECRET TOKEN_FILE
"""
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

CERTIFICATE, KEY, CLIENT, SECRET, TOKEN_FILE = sys.argv[1:]


class Authority(BaseHTTPRequestHandler):
    def answer(self, status, members):
        body = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = urlsplit(self.path).path
        base = "https://" + self.headers["Host"]
        if path.endswith("/.well-known/openid-configuration"):
            tenant = path.split("/")[1]
            self.answer(200, {"issuer": f"{base}/{tenant}", "authorization_endpoint": f"{base}/{tenant}/oauth2/authorize",
                              "token_endpoint": f"{base}/{tenant}/oauth2/token"})
        elif path == "/metadata/endpoints":
            self.answer(200, {"galleryEndpoint": base, "graphEndpoint": base, "portalEndpoint": base,
                              "authentication": {"loginEndpoint": base + "/adfs", "audiences": [base]}})
        elif path == "/subscriptions" and self.headers.get("Authorization"):
            self.answer(200, {"value": []})
        else:
            self.answer(404, {})

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        first = {name: values[0] for name, values in form.items()}
        asked = first.get("resource") or first.get("scope", "").split(" ")[0].removesuffix("/.default")
        good = first.get("grant_type") == "client_credentials" and first.get("client_id") == CLIENT and first.get("client_secret") == SECRET
        print("token", asked, "granted" if good else "refused", flush=True)
        if good:
            with open(TOKEN_FILE, encoding="ascii") as file:
                self.answer(200, {"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": file.read()})
        else:
            self.answer(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."})

    def log_message(self, *_):
        pass


def main():
    server = HTTPServer(("127.0.0.1", 0), Authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"listening localhost:{server.server_port}", flush=True)
    server.serve_forever()


main()
