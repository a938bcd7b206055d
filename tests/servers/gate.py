"""The way to a server: it counts and cuts connections, and lets only so many through at a time."""

import contextlib
import socket
import threading


class Gate:
    """Listens until close(). A connection beyond `limit` is closed at once, without a word."""

    def __init__(self, target, limit=None):
        self.limit = limit
        self.opened = 0  # connections that were let through, ever
        self.most = 0  # at one time
        self.bytes_up = 0  # from the clients
        self._cut_at = None
        self._target = target
        self._pairs = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self, limit=None):
        """Cuts all connections; from then on LIMIT of them come back."""
        with self._lock:
            self.limit = limit
            self._cut_at = None
            for pair in self._pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, more_bytes, limit=None):
        """Does so once the clients sent MORE_BYTES."""
        with self._lock:
            self._cut_at = (self.bytes_up + more_bytes, limit)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.socket() as server:
            pair = (client, server)
            with self._lock:
                if self.limit is not None and len(self._pairs) >= self.limit:
                    return
                self._pairs.add(pair)
                self.opened += 1
                self.most = max(self.most, len(self._pairs))
            try:
                server.connect(("127.0.0.1", self._target))
                for end in pair:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                down = threading.Thread(target=self._copy, args=(server, client), daemon=True)
                down.start()
                self._copy(client, server, counts=True)
                down.join()
            except OSError:
                pass
            finally:
                with self._lock:
                    self._pairs.discard(pair)

    def _copy(self, source, sink, counts=False):
        buffer = memoryview(bytearray(1 << 18))
        with contextlib.suppress(OSError):
            while size := source.recv_into(buffer):
                sink.sendall(buffer[:size])
                if counts:
                    self._count(size)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, size):
        with self._lock:
            self.bytes_up += size
            due = self._cut_at is not None and self.bytes_up >= self._cut_at[0]
            limit = self._cut_at[1] if due else None
        if due:
            self.cut(limit)
