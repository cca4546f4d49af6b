import numpy as np
from toy import LOSSES, N, make_run

from rdmviz.analysis import means as means_module
from rdmviz.analysis.means import class_means, losses_of


def test_means_of_classes_and_gaps_where_a_loss_is_none():
    codes = np.arange(N) % 3
    losses = LOSSES.copy()
    losses[7, 3] = np.nan
    losses[9, 4] = np.inf
    means = class_means(make_run(losses), codes)
    sound = np.delete(np.arange(len(losses)), [7, 9])
    for code in range(3):
        np.testing.assert_allclose(means[code, sound], losses[sound][:, codes == code].mean(axis=1))
    assert not np.isfinite(means[:, [7, 9]]).all(axis=0).any()


def test_losses_of_some_datapoints_are_read_block_by_block(monkeypatch):
    monkeypatch.setattr(means_module, "_BLOCK_VALUES", 7 * N)
    run, chosen = make_run(LOSSES), np.array([4, 0, 2])
    np.testing.assert_array_equal(losses_of(run, chosen), LOSSES[:, chosen].T)
    codes = np.arange(N) % 2
    np.testing.assert_allclose(class_means(run, codes)[1], LOSSES[:, codes == 1].mean(axis=1))
