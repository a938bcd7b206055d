"""The watcher under a service manager."""

import signal
import socket

from ferry_harness import Process, make_files


def test_the_service_manager_is_told_of_start_life_and_end(folder, landing, metastore):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(20)
        watcher = Process(folder, "watch", "--landing", landing, "--metastore", metastore,
                          env={"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "200000"})
        told = set()
        while not {b"READY=1", b"WATCHDOG=1"} <= told:
            told.add(manager.recv(4096))
        watcher.popen.send_signal(signal.SIGTERM)
        while b"STOPPING=1" not in told:
            told.add(manager.recv(4096))
        assert watcher.wait().code == 0


def test_an_interrupted_transfer_says_so_and_loses_nothing(
        server, landing, folder, register, transfer, transfer_arguments):
    make_files(landing, 4000, 4000)
    register()
    victim = Process(folder, *transfer_arguments)
    while not server.files() and victim.popen.poll() is None:
        pass
    assert victim.stop().code == 130
    assert transfer().code == 0
    assert len(server.files()) == 4000
    assert server.leftovers() == []
