"""Fits that hang or kill their worker, in a module that a worker imports quickly."""

import os
import signal
import time

__all__ = ["hang_or_die"]


def hang_or_die(reader, dataset, place, image):
    """Do to the second image what a slow disk does, and to the fourth what the kernel does without memory."""
    if image == 2:
        time.sleep(600)
    if image == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"image": image, "f_int": 1.0}
