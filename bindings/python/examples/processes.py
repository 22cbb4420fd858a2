"""Processes that begin their work at the same moment, for the examples."""

import multiprocessing

FORK = multiprocessing.get_context("fork")


def run_together(count, work, *args):
    """Run work(*args, start) in `count` processes; each begins with start.wait()."""
    start = FORK.Barrier(count)
    processes = [FORK.Process(target=work, args=(*args, start)) for _ in range(count)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    finally:
        for process in multiprocessing.active_children():  # interrupted: none stays in the store
            process.kill()
            process.join()
    assert not any(process.exitcode for process in processes)
