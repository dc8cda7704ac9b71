#!/usr/bin/env python3
"""The plain C interface from Python: transactions.py LIBRARY NAME CLUSTER NODES

Runs one (pretended) transaction after the other and says where each one goes. With a driver such as
mariadb or PyMySQL, keep one connection for each route and replace it when the route changes.
"""
import ctypes
import signal
import sys
import time
from contextlib import contextmanager


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("name", ctypes.c_char_p), ("cluster", ctypes.c_char_p),
                ("nodes", ctypes.c_char_p), ("heartbeat_ms", ctypes.c_uint32),
                ("peer_timeout_ms", ctypes.c_uint32), ("startup_wait_ms", ctypes.c_uint32),
                ("secret_file", ctypes.c_char_p), ("tls_ca", ctypes.c_char_p), ("tls_cert", ctypes.c_char_p),
                ("tls_key", ctypes.c_char_p), ("tls_crl", ctypes.c_char_p)]


class Route(ctypes.Structure):
    _fields_ = [("epoch", ctypes.c_uint64), ("node", ctypes.c_char * 65), ("host", ctypes.c_char * 254),
                ("port", ctypes.c_uint16)]


class Held(Exception):
    """Traffic is held for longer than the caller wants to wait."""


class Cluster:
    """A subscription to a cluster, and the gate in front of its transactions."""

    def __init__(self, library, name, cluster, nodes, secret_file=None):
        self._api = ctypes.CDLL(library)
        self._api.active_master_text.restype = ctypes.c_char_p
        self._api.active_master_log_level(b"off")
        self._handle = ctypes.c_void_p()
        options = Options(ctypes.sizeof(Options), name.encode(), cluster.encode(), nodes.encode(),
                          secret_file=secret_file.encode() if secret_file else None)
        error = ctypes.create_string_buffer(256)
        if self._api.active_master_create(ctypes.byref(options), ctypes.byref(self._handle), error, len(error)):
            raise ValueError(error.value.decode())

    @contextmanager
    def transaction(self, timeout):
        """Waits for at most `timeout` seconds; gives the route of one transaction."""
        route, held = Route(), ctypes.c_void_p()
        code = self._api.active_master_enter(self._handle, ctypes.c_uint32(int(timeout * 1000)),
                                             ctypes.byref(held), ctypes.byref(route))
        if code:
            raise Held(self._api.active_master_text(code).decode())
        try:
            yield route
        finally:
            self._api.active_master_leave(held)

    def last_error(self):
        text = ctypes.create_string_buffer(512)
        self._api.active_master_last_error(self._handle, text, len(text))
        return text.value.decode(errors="replace")

    def close(self):
        self._api.active_master_destroy(self._handle)
        self._handle = None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        cluster = Cluster(*sys.argv[1:5])
    except (TypeError, ValueError) as error:
        sys.exit(f"transactions.py: {error}")
    try:
        while True:
            try:
                with cluster.transaction(timeout=1) as route:
                    print(route.epoch, route.node.decode(), f"{route.host.decode()}:{route.port}", flush=True)
                    time.sleep(0.01)
            except Held as held:
                print("held:", held, cluster.last_error(), flush=True)
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
