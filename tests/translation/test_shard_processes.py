import pytest

from kliep_tf.translation.shard_processes import deal, gpu_names


@pytest.mark.parametrize(
    ("number", "visible", "names"),
    [
        (2, "", ["0", "1"]),
        (2, "3,5", ["3", "5"]),
        (1, "GPU-8f2", ["GPU-8f2"]),
        (0, "-1", []),  # hidden from this process
        (0, "", []),
    ],
)
def test_gpus_have_the_names_that_this_process_was_given(
    number, visible, names
):
    assert gpu_names(number, visible) == names


@pytest.mark.parametrize(
    ("gpus", "num_workers", "dealt"),
    [
        (["3", "5"], None, ["3", "5"]),  # one process a GPU
        (["3"], None, []),  # this process
        ([], None, []),
        (["3", "5"], 3, ["3", "5", "3"]),
        (["3", "5"], 0, []),
        ([], 2, [None, None]),
    ],
)
def test_each_worker_sees_one_gpu(gpus, num_workers, dealt):
    environments = deal(gpus, num_workers)
    found = [one.get("CUDA_VISIBLE_DEVICES") for one in environments]
    assert found == dealt
