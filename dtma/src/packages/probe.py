# Ends with 0 when the package index can be connected to.
import os
import socket
import urllib.parse

index = urllib.parse.urlsplit(os.environ.get("UV_DEFAULT_INDEX") or "https://pypi.org/simple")
port = index.port or (443 if index.scheme == "https" else 80)
socket.create_connection((index.hostname, port), timeout=8).close()
