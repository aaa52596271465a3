"""Facts about single bins with all that came before them."""

import numpy as np
import torch

from skneuro.training.contexts import batch_rows, context_batches, log_odds


def test_rows_of_contexts_keep_all_that_is_known_of_them(tiny):
    """Also what enters the long past: any rows, in any order, have the odds that they had before."""
    lengths = (12, 9)
    stimuli = tiny.stimuli(lengths)
    fitted = tiny.fitted("hazard", 3, modalities=stimuli)
    builder = fitted.builder(tiny.read(tiny.spikes(lengths), stimuli))
    ((_, batch),) = context_batches(builder, np.array([3, 11, 14, 20]))
    encoded = fitted.network.fusion.encode(batch.modalities)
    index = torch.tensor([2, 0, 2, 3])
    with torch.no_grad():
        usual = log_odds(fitted.network, batch, encoded)
        again = log_odds(fitted.network, batch_rows(batch, index), encoded)
    assert batch.stimuli
    np.testing.assert_allclose(again, usual[index], rtol=0, atol=1e-10)
    assert (usual[0] - usual[2]).abs().max() > 1e-3
