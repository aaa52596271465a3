"""Facts about tubelets: a 3-D convolution, real places, and places of the same frames that know of each other."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skneuro.nn.config import ModalityConfig, Tubelets
from skneuro.nn.keys import ModalityKeys, TubeletKeys
from skneuro.nn.video import token_geometry

HEIGHT, WIDTH, CHANNELS, N_FRAMES = 5, 7, 3, 6
CUT = Tubelets((3, 2, 4), (2, 2, 3))


def encoder(tiny, cut=CUT):
    video = ModalityConfig("video", HEIGHT * WIDTH * CHANNELS, (HEIGHT, WIDTH, CHANNELS), cut)
    return tiny.model("hazard", 1, modalities=(video,)).fusion.encoders[0], video


def keys_of(clip, cut=CUT):
    """Keys with every tubelet of a clip (T, H, W, C)."""
    last = np.arange(0, len(clip), cut.stride[0])
    frames = last[:, None] - np.arange(cut.size[0])
    frames = torch.from_numpy(np.where(frames < 0, len(clip), frames))
    there = torch.ones(1, len(last), dtype=torch.bool)
    cut_keys = TubeletKeys(torch.zeros(1, len(last)), there, torch.arange(len(last))[None], frames)
    return ModalityKeys(torch.zeros(1, 1), there[:, :1], torch.zeros(1, 1).long(), clip.flatten(1), cut_keys)


def some_clip(seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((N_FRAMES, HEIGHT, WIDTH, CHANNELS)))


def test_tubelets_are_a_convolution_over_time_and_space(tiny):
    model, video = encoder(tiny)
    clip, keys = some_clip(), keys_of(some_clip())
    with torch.no_grad():
        found = model.embed(keys.values, keys.tubelets.frames)
        # Grey before the clip and beyond the right and lower border; time runs the other way in the kernel.
        padded = F.pad(clip.permute(3, 0, 1, 2), (0, 0, 0, 1, CUT.size[0] - 1, 0))
        kernel = model.kernel.flip(0).permute(1, 2, 0, 3, 4)
        expected = F.conv3d(padded[None], kernel, model.bias, stride=CUT.stride)[0]  # (D, V, rows, columns)
    assert expected.shape[2:] == CUT.grid(video.shape) == (3, 2)
    torch.testing.assert_close(found, expected.flatten(2).permute(1, 2, 0), rtol=0, atol=1e-12)


def test_the_geometry_says_which_pixels_a_token_holds(tiny):
    model, video = encoder(tiny)
    geometry = token_geometry(video)
    clip = some_clip()
    with torch.no_grad():
        before = model.embed(keys_of(clip).values, keys_of(clip).tubelets.frames)
        for row, column in ((0, 0), (4, 6), (2, 3), (3, 2)):
            bent = clip.clone()
            bent[0, row, column] += 1
            after = model.embed(keys_of(bent).values, keys_of(bent).tubelets.frames)
            moved = ((after - before).abs().amax(2) > 1e-9).numpy()  # (V, P)
            inside = (geometry.rows[:, 0] <= row) & (row < geometry.rows[:, 1])
            inside &= (geometry.columns[:, 0] <= column) & (column < geometry.columns[:, 1])
            np.testing.assert_array_equal(moved[0], inside)
            assert moved[1].any() and not moved[2].any()  # three frames on, the tubelet holds it no more
    assert geometry.n_frames == 3 and geometry.grid == (3, 2)


def test_the_same_pixels_at_another_place_are_another_token(tiny):
    cut = Tubelets((1, 1, 1), (1, 1, 1))
    model, _ = encoder(tiny, cut)
    with torch.no_grad():
        tokens = model(keys_of(torch.ones_like(some_clip()), cut))
    gaps = torch.cdist(tokens[0], tokens[0]) + torch.eye(HEIGHT * WIDTH)
    assert float(gaps.min()) > 1e-3


def test_places_of_the_same_frames_know_of_each_other_and_of_no_others(tiny):
    model, _ = encoder(tiny)
    clip = some_clip()
    bent = clip.clone()
    bent[0, 0, 0] += 3  # seen by the tubelets that end at the frames 0 and 2
    with torch.no_grad():
        change = (model(keys_of(bent)) - model(keys_of(clip))).abs().amax(2)
    assert bool((change[:2] > 1e-9).all()) and bool((change[2:] == 0).all())


def test_a_series_has_no_pixels():
    with pytest.raises(ValueError, match="'speed'.*no pixels"):
        token_geometry(ModalityConfig("speed", 2, (2,)))
    whole = token_geometry(ModalityConfig("video", 12, (3, 4)))
    assert whole.grid == (1, 1) and whole.rows.tolist() == [[0, 3]] and whole.columns.tolist() == [[0, 4]]


@pytest.mark.parametrize(
    ("size", "stride", "message"),
    [((2, 2), (1, 1, 1), "three"), ((2, 2, 2), (0, 1, 1), "at least 1"), ((2, 2, 2), (1, 3, 1), "not seen")],
)
def test_boxes_that_leave_something_out_are_refused(size, stride, message):
    with pytest.raises(ValueError, match=message):
        Tubelets(size, stride)
