"""The cache: what is downloaded is checked, what is wrong is refused and what fails leaves nothing behind."""

import hashlib
import http.server
import re
import threading

import pytest

from skneuro.datasets import clear_data_home, get_data_home
from skneuro.datasets._base import RemoteFile, fetch_file
from skneuro.exceptions import DatasetNotFoundError

CONTENT = b"spikes" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def _file(path="data/spikes.mat", sha256=SHA256):
    return RemoteFile("owner/name", "c0ffee", path, sha256)


@pytest.fixture
def server(monkeypatch):
    """A host that has owner/name/c0ffee/data/spikes.mat, breaks off other.mat, and counts requests."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            if self.path not in ("/owner/name/c0ffee/data/spikes.mat", "/owner/name/c0ffee/data/short.mat"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if self.path.endswith("spikes.mat") else CONTENT[:100])

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        monkeypatch.setattr("skneuro.datasets._base._HOST", f"http://127.0.0.1:{host.server_port}")
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        yield requests
        host.shutdown()
        thread.join()


def test_the_address_is_that_of_the_pinned_commit():
    assert _file().url == "https://raw.githubusercontent.com/owner/name/c0ffee/data/spikes.mat"


def test_a_file_is_downloaded_once(server, tmp_path):
    for _ in range(2):
        path = fetch_file(_file(), "folder", data_home=tmp_path)
        assert path == tmp_path / "folder" / "spikes.mat"
        assert path.read_bytes() == CONTENT
    assert len(server) == 1


def test_wrong_contents_are_refused_with_both_hashes(server, tmp_path):
    wanted = "ab" * 32
    with pytest.raises(ValueError, match=f"{SHA256}.*{wanted}"):
        fetch_file(_file(sha256=wanted), "folder", data_home=tmp_path)
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize("name", ["missing", "short"])
def test_a_download_that_fails_leaves_nothing_behind(server, tmp_path, name):
    file = _file(f"data/{name}.mat")
    with pytest.raises((DatasetNotFoundError, ValueError), match=re.escape(file.url)):
        fetch_file(file, "folder", data_home=tmp_path)
    assert list((tmp_path / "folder").iterdir()) == []


def test_no_network_is_an_os_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("skneuro.datasets._base._HOST", "http://127.0.0.1:1")  # nobody listens on port 1
    with pytest.raises(DatasetNotFoundError, match="put the file from .*spikes.mat at .*SKNEURO_DATA") as caught:
        fetch_file(_file(), "folder", data_home=tmp_path)
    assert isinstance(caught.value, OSError)


def test_a_missing_file_is_not_downloaded_against_the_users_will(server, tmp_path):
    with pytest.raises(DatasetNotFoundError, match="download_if_missing=False"):
        fetch_file(_file(), "folder", data_home=tmp_path / "home", download_if_missing=False)
    assert server == []
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_refused_with_both_hashes(server, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "spikes.mat").write_bytes(b"damaged")
    found = hashlib.sha256(b"damaged").hexdigest()
    with pytest.raises(ValueError, match=f"{found}.*{SHA256}.*Delete it"):
        fetch_file(_file(), "folder", data_home=tmp_path)
    assert server == []


def test_the_data_home_is_argument_then_environment_then_home(monkeypatch, tmp_path):
    monkeypatch.setenv("SKNEURO_DATA", str(tmp_path / "from_environment"))
    assert get_data_home(tmp_path / "given") == tmp_path / "given"
    assert get_data_home() == tmp_path / "from_environment"
    monkeypatch.delenv("SKNEURO_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert get_data_home() == tmp_path / "skneuro_data"
    assert (tmp_path / "skneuro_data").is_dir()


def test_clearing_deletes_the_data_home(tmp_path):
    (get_data_home(tmp_path / "home") / "file").write_text("x")
    clear_data_home(tmp_path / "home")
    assert not (tmp_path / "home").exists()
