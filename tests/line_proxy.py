"""The slow or faulty line in front of a server: build/line_proxy."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

from ferry_harness import FERRY, eventually

LINE_PROXY = pathlib.Path(os.environ.get("LINE_PROXY", FERRY.with_name("line_proxy"))).resolve()


class Line:
    """Runs from its making until stop(); OPTIONS are line_proxy's."""

    def __init__(self, folder, target, *options):
        self.count_file = folder / f"line-{target}-{os.urandom(4).hex()}.json"
        self._process = subprocess.Popen(
            [str(LINE_PROXY), "--target", str(target), "--count-file", str(self.count_file),
             *map(str, options)], stdout=subprocess.PIPE, text=True)
        announced = self._process.stdout.readline().split()
        assert announced[:1] == ["listening"], "line_proxy does not start"
        self.port = int(announced[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def counts(self):
        """The totals as they are now."""
        if self._process.poll() is None:
            self.count_file.unlink(missing_ok=True)
            self._process.send_signal(signal.SIGUSR2)
            eventually(self.count_file.exists, what="line_proxy's counts")
        return json.loads(self.count_file.read_text())

    def cut(self):
        """Cuts every connection that there is."""
        self._process.send_signal(signal.SIGUSR1)

    def freeze(self):
        """Nothing goes either way any more, and nobody is told."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def stop(self):
        self.thaw()
        self._process.terminate()
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._process.stdout.close()
        assert code == 0, f"line_proxy ended with {code}"


def known_hosts_for(server, port, path):
    """PATH, made to trust SERVER's key at PORT too."""
    shutil.copy(server.known_hosts, path)
    key = (server.folder / "host_key.pub").read_text().split()
    with open(path, "a", encoding="utf-8") as out:
        out.write(f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
    return path
