"""The S1 recording and the split of the benchmarks, against the numbers of their protocol."""

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.stats import poisson

from skneuro.datasets import block_split, fetch_s1_reaching


@pytest.fixture(scope="module")
def s1(recordings):
    return fetch_s1_reaching(data_home=recordings("s1_area2_reaching"), download_if_missing=False)


def test_segments_are_trials_and_keep_every_count(s1):
    counts = loadmat(s1.files[0])["spikes"]
    assert s1.spikes.shape == (415, 52)
    assert s1.segment_lengths.sum() == 35_129 and s1.segment_lengths.max() == 442
    assert s1.spikes.resolution == 0.05
    assert np.array_equal(s1.spikes.bin(0.05).dense(), counts)


def test_the_hand_goes_where_its_velocity_takes_it_within_each_segment(s1):
    for trial in range(415):
        position = s1.modalities["hand_position"][trial].values
        velocity = s1.modalities["hand_velocity"][trial].values
        predicted = position[:-1] + 0.025 * (velocity[1:] + velocity[:-1])
        assert np.all(np.hypot(*(position[1:] - predicted).T) <= 1.0)


def test_behaviour_has_one_sample_a_bin(s1):
    binned = s1.spikes.bin(0.05)
    velocity = loadmat(s1.files[0])["vel"]
    assert np.allclose(s1.modalities["hand_velocity"].on_bins(binned), velocity)


def test_the_split_is_that_of_the_protocol(s1):
    split = block_split(s1.groups, s1.gap_mask)
    bins = {part: int(s1.segment_lengths[split[part]].sum()) for part in split}
    assert bins == {"train": 20_549, "validation": 6_861, "test": 6_800}
    assert s1.spikes[split.test].n_spikes == 161_559
    assert s1.gap_mask.sum() == 10 and np.all(np.diff(s1.groups) >= 0)


def test_the_null_model_scores_what_the_protocol_says(s1):
    split = block_split(s1.groups, s1.gap_mask)
    train, test = (s1.spikes[split[part]].bin(0.05).dense() for part in ("train", "test"))
    mean = (train.sum(axis=0) + 0.5) / len(train)
    assert poisson.logpmf(test, mean).sum() / len(test) == pytest.approx(-39.790, abs=1e-3)
