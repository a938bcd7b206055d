"""A landing area on the server."""

import pytest
from cell import MIB
from ferry_harness import make_files, relative_files


def contents(folder):
    return {path: (folder / path).read_bytes() for path in relative_files(folder)}


def test_landing_area(cell):
    """From there to a directory there: more files than a server may keep open, and a large one."""
    cell.land_at_server()
    make_files(cell.landing, 250, 3000)
    make_files(cell.landing / "sub" / "deeper", 250, 10, prefix="deep")
    cell.put("sub/Grüße aus 東京.csv", b"text")
    cell.put("empty", b"")
    cell.put_big("large.bin", cell.sized(50 * MIB))
    assert cell.register() == 503
    cell.transfer()
    cell.check_delivered()


@pytest.mark.parametrize("after", ["archive", "delete"])
def test_after_delivery(cell, after):
    cell.land_at_server()
    make_files(cell.landing / "sub", 40, 100)
    cell.put_big("large.bin", 5 * MIB)
    archive = cell.server.make_directory(f"archive-{cell.folder.name}")
    where = f'\narchive = "{cell.server.remote_path(archive)}"' if after == "archive" else ""
    cell.configure(**{"route.all": f'to = "b"\nafter = "{after}"{where}'})
    before = contents(cell.landing)
    assert cell.register() == 41
    cell.transfer()
    assert relative_files(cell.landing) == []
    cell.on_disk(lambda: contents(archive), before if after == "archive" else {})
    cell.on_disk(lambda: {path: (cell.root / path).read_bytes() for path in cell.files_at_b()}, before)


def test_upload(cell):
    cell.land_at_server()
    source = cell.folder / "source"
    for content in (b"first", b"second version, and longer"):
        source.write_bytes(content)
        cell.ferry("upload", "--as", "reports/today.csv", str(source))
        cell.on_disk(lambda: contents(cell.landing), {"reports/today.csv": content})
    source.write_bytes(b"third")
    assert cell.run("upload", "--no-clobber", "--as", "reports/today.csv", str(source)).code == 1
    cell.on_disk(lambda: contents(cell.landing), {"reports/today.csv": content})
    cell.put_big("large.bin", 20 * MIB)
    (cell.landing / "large.bin").rename(cell.folder / "large.bin")
    cell.ferry("upload", str(cell.folder / "large.bin"))
    cell.on_disk(lambda: relative_files(cell.landing), ["large.bin", "reports/today.csv"])
    assert cell.register() == 0
    cell.transfer()
    cell.check_delivered()
