import threading

from threadpoolctl import threadpool_info, threadpool_limits

from rdmviz.analysis.one_thread import cores, one_blas_thread


def _threads():
    return {entry["num_threads"] for entry in threadpool_info() if entry["user_api"] == "blas"}


def test_the_limit_holds_until_the_last_thread_leaves_and_is_then_lifted():
    with one_blas_thread():
        pass  # every BLAS is there to be counted
    with threadpool_limits(2, user_api="blas"):
        entered, leave = threading.Event(), threading.Event()

        def other():
            with one_blas_thread():
                entered.set()
                leave.wait(10)

        thread = threading.Thread(target=other)
        with one_blas_thread():
            thread.start()
            assert entered.wait(10)
        assert _threads() == {1}
        leave.set()
        thread.join()
        assert _threads() == {2}


def test_there_is_a_core():
    assert cores() >= 1
