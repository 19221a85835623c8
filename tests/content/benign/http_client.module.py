import base64
import json
import os
import socket
import urllib.request

NETRC = ("~/.netrc", "~/_netrc")
API = "https://api.example.org/v1"


def basic_auth(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def decode_token(token):
    header, body, _ = token.split(".")
    return json.loads(base64.urlsafe_b64decode(body + "=="))


def send(path, payload):
    request = urllib.request.Request(API + path, json.dumps(payload).encode(), {"Host": socket.gethostname()})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())
