"""Facts about what a bin sees: keys of a span, no later ones, and a long past whose state can be carried on."""

import numpy as np
import torch

from skneuro.nn.encoders import N_COMPONENTS, may_see
from skneuro.nn.keys import ModalityKeys


def test_a_key_is_seen_from_its_own_time_to_the_end_of_its_span():
    query, key = torch.tensor([[0.05, 0.10]]), torch.tensor([[-0.1, 0.0, 0.0499, 0.05, 0.1, 0.2]])
    age = query[:, :, None] - key[:, None, :]
    seen = may_see(age, torch.ones(1, 6, dtype=torch.bool), 0.15)
    assert seen[0].tolist() == [
        [True, True, True, False, False, False],  # the sample at the bin's end belongs to the next bin
        [False, True, True, True, False, False],
    ]
    assert not may_see(age, torch.zeros(1, 6, dtype=torch.bool), 0.15).any()


def test_a_linear_drive_adds_up_and_forgets(tiny):
    drive = tiny.model("hazard", 1, modalities=(tiny.SPEED,)).drives[0]
    rng = np.random.default_rng(0)
    time = torch.tensor([[-0.1, -0.05, 0.0, 0.05]], dtype=torch.float64)
    query = torch.tensor([[0.05, 0.10, 0.3]], dtype=torch.float64)

    def filtered(features, present=(True,) * 4):
        keys = ModalityKeys(time, torch.tensor([present]), torch.arange(4)[None], features[0])
        with torch.no_grad():
            return drive(keys, query)

    x, y = (torch.from_numpy(rng.standard_normal((1, 4, 2))) for _ in range(2))
    assert filtered(x).shape == (1, 3, N_COMPONENTS)
    torch.testing.assert_close(filtered(x + 2 * y), filtered(x) + 2 * filtered(y), rtol=0, atol=1e-12)
    torch.testing.assert_close(filtered(x)[:, 2], torch.zeros(1, N_COMPONENTS, dtype=torch.float64))  # all too old
    hidden = filtered(x, (True, False, True, True))
    without = x.clone()
    without[:, 1] = 0
    torch.testing.assert_close(hidden, filtered(without), rtol=0, atol=1e-12)


def test_the_state_of_the_long_past_can_be_carried_on(tiny):
    model = tiny.model("hazard", 1, 3)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 20, 3)))
    with torch.no_grad():
        first = torch.zeros(2, 12, dtype=torch.float64)
        whole = model.past(model.session, x, first)
        head = model.past(model.session, x[:, :8], first)
        tail = model.past(model.session, x[:, 8:], head[:, -1])
    torch.testing.assert_close(torch.cat([head[:, :-1], tail], dim=1), whole, rtol=0, atol=1e-12)
