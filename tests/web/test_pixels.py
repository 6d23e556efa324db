import threading
import time
from functools import partial
from pathlib import Path

import pytest

from trap.errors import ImageError, NotFoundError, TransientError, UnreadableImageError, WorkerLostError
from trap.web import pixels
from trap.web.pixels import Memory, Pixels, missing_files
from trap.workers.executors import SerialExecutor


def hang(seconds):
    time.sleep(seconds)
    return b"late"


def fail(error):
    raise error


@pytest.fixture
def here(monkeypatch):
    """Return a reader of pixels that reads in this process."""
    reader = Pixels()
    monkeypatch.setattr(reader, "_process", SerialExecutor)
    return reader


def test_answer_is_read_once(here):
    calls = []
    step = partial(lambda: calls.append(1) or b"png")
    assert [here.read("key", step, len) for _ in range(2)] == [b"png", b"png"]
    assert len(calls) == 1


def test_failure_is_a_sentence_with_the_remedy_and_is_not_tried_again(here):
    error = UnreadableImageError("No such file or directory", "/data/a.fits")
    step = partial(fail, error)
    with pytest.raises(NotFoundError, match="/data/a.fits: No such file or directory. Put the file back .*keep_pixels"):
        here.read("key", step, len)
    with pytest.raises(NotFoundError, match="No such file"):
        here.read("key", partial(hang, 1000), len)


def test_image_that_takes_too_much_memory_is_named(here):
    with pytest.raises(NotFoundError, match="/data/huge.fits: not enough memory"):
        here.read("key", partial(fail, MemoryError()), len, "/data/huge.fits")


def test_reading_that_hangs_ends_at_its_limit_with_a_sentence(here, monkeypatch):
    class Hung(SerialExecutor):
        def submit(self, step, /, *args, **kwargs):
            return super().submit(fail, WorkerLostError("read_part was ended after 20 s", is_culprit=True))

    monkeypatch.setattr(here, "_process", Hung)
    with pytest.raises(NotFoundError, match="/data/slow.fits could not be read within 20 s. It is tried again"):
        here.read("slow", partial(hang, 1000), len, "/data/slow.fits")


def test_folder_that_hung_is_not_tried_for_its_other_files(here, monkeypatch):
    monkeypatch.setattr(pixels, "TIMEOUT_SECONDS", 0.01)
    slow = partial(lambda: (hang(0.02), fail(WorkerLostError("ended"))))
    with pytest.raises(NotFoundError, match="could not be read within"):
        here.read("one", slow, len, "/net/data/1.fits")
    with pytest.raises(NotFoundError, match="/net/data/2.fits was not read, since its folder did not answer"):
        here.read("two", partial(hang, 1000), len, "/net/data/2.fits")
    assert here.read("three", partial(bytes, 1), len, "/other/3.fits") == b"\0"


def test_too_many_waiting_requests_are_turned_away(here, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_WAITING", 1)
    is_reading, go_on = threading.Event(), threading.Event()
    step = partial(lambda: (is_reading.set(), go_on.wait(20), b"png")[-1])
    thread = threading.Thread(target=here.read, args=("one", step, len))
    thread.start()
    assert is_reading.wait(20)
    with pytest.raises(TransientError, match="too many cut-outs are being read"):
        here.read("other", partial(hang, 0), len)
    go_on.set()
    thread.join()
    assert here.read("other", partial(hang, 0), len) == b"late"


def test_memory_forgets_the_oldest_answers_beyond_its_size():
    memory = Memory(size=10)
    for name in ("a", "b", "c"):
        memory.put(name, name, 4)
    assert [memory.get(name) for name in ("a", "b", "c")] == [None, "b", "c"]
    memory.put("larger than all", "d", 11)
    assert memory.get("larger than all") is None


def test_memory_forgets_old_answers():
    memory = Memory()
    memory.put("a", 1, 1, life=-1.0)
    assert memory.get("a") is None


def test_missing_files_are_found(tmp_path):
    (tmp_path / "here").touch()
    paths = [str(tmp_path / "here"), str(tmp_path / "gone"), "memory://image", "nul\0"]
    assert missing_files(paths) == set(paths[1:])


def test_hung_file_system_does_not_hold_a_page(monkeypatch):
    monkeypatch.setattr(pixels, "STAT_SECONDS", 0.05)
    answers = threading.Event()
    monkeypatch.setattr(pixels, "path_of", lambda path: (answers.wait(60), Path(path))[1])
    # A page that waited for the answer would count the file as missing.
    assert missing_files(["/net/a.fits"]) == set()
    answers.set()


def test_other_errors_are_not_hidden(here):
    with pytest.raises(ZeroDivisionError):
        here.read("key", partial(fail, ZeroDivisionError()), len)
    with pytest.raises(NotFoundError):
        here.read("key", partial(fail, ImageError("no beam")), len)
