import numpy as np
from toy import LOSSES, N, make_run

from rdmviz.analysis.means import class_means


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
