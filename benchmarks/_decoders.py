"""What decoding from a pretrained model is compared with: the same counts at the same lags, each tuned on its labels.

Every decoder has ``fit(counts, ptr, values)`` and ``predict(counts, ptr)``; `counts` are those of whole trials one
after the other, (n_bins, n_units), and what is tuned is tuned on one contiguous eighth of the labels.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neural_network import MLPRegressor
from torch import nn

from skneuro.training.readout import PENALTIES, contiguous_folds, ridge

N_PARTS = 8


def lagged(counts: np.ndarray, ptr: np.ndarray, lags: range) -> np.ndarray:
    """Counts at some lags, (n_bins, n_lags, n_units); zeros beyond a trial's ends."""
    trial = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    row = np.arange(len(counts))
    parts = []
    for lag in lags:
        inside = (row + lag >= ptr[trial]) & (row + lag < ptr[trial + 1])
        parts.append(np.where(inside[:, None], counts[np.where(inside, row + lag, 0)], 0))
    return np.stack(parts, axis=1)


class Decoder:
    """Standardises inputs and outputs, and splits off what is tuned on."""

    def __init__(self, lags: range, seed: int = 0) -> None:
        self.lags, self.seed = lags, seed

    def fit(self, counts: np.ndarray, ptr: np.ndarray, values: np.ndarray) -> Decoder:
        self.centre, self.scale = counts.mean(0), np.maximum(counts.std(0), 0.1)
        self.mean, self.sd = values.mean(0), values.std(0)
        trial = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
        held = contiguous_folds(trial, N_PARTS) == N_PARTS // 2 - 1
        held = held if held.any() else np.arange(len(values)) >= len(values) * 0.8
        self.learn(self.inputs(counts, ptr), (values - self.mean) / self.sd, trial, held)
        return self

    def inputs(self, counts: np.ndarray, ptr: np.ndarray) -> np.ndarray:
        return lagged((counts - self.centre) / self.scale, ptr, self.lags)

    def predict(self, counts: np.ndarray, ptr: np.ndarray) -> np.ndarray:
        return self.outputs(self.inputs(counts, ptr)) * self.sd + self.mean

    def learn(self, x: np.ndarray, y: np.ndarray, trial: np.ndarray, held: np.ndarray) -> None:
        raise NotImplementedError

    def outputs(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Ridge(Decoder):
    """Ridge regression; the penalty by five contiguous folds of trials."""

    def learn(self, x, y, trial, held):
        flat = x.reshape(len(x), -1)
        found = ridge([(flat, y, contiguous_folds(trial))], PENALTIES, np.ones(flat.shape[1]))
        self.shift, self.spread, self.coef, self.intercept, _ = found

    def outputs(self, x):
        return (x.reshape(len(x), -1) - self.shift) / self.spread @ self.coef.T + self.intercept


class Boosting(Decoder):
    """Histogram gradient boosting, one model an output; the number of trees is tuned, then all labels are used."""

    def learn(self, x, y, trial, held):
        flat = x.reshape(len(x), -1).astype(np.float32)
        self.models = []
        for output in y.T:
            settings = {"max_iter": 300, "learning_rate": 0.08, "l2_regularization": 1.0, "random_state": self.seed}
            model = HistGradientBoostingRegressor(**settings, early_stopping=False).fit(flat[~held], output[~held])
            error = [np.mean((p - output[held]) ** 2) for p in model.staged_predict(flat[held])]
            settings["max_iter"] = int(np.argmin(error)) + 1
            self.models.append(HistGradientBoostingRegressor(**settings, early_stopping=False).fit(flat, output))

    def outputs(self, x):
        flat = x.reshape(len(x), -1).astype(np.float32)
        return np.column_stack([model.predict(flat) for model in self.models])


class MLP(Decoder):
    """One hidden layer of 256 units; penalty and number of epochs are tuned."""

    def learn(self, x, y, trial, held):
        flat = x.reshape(len(x), -1)
        best = np.inf
        for alpha in (1.0, 10.0):
            model = MLPRegressor(hidden_layer_sizes=256, alpha=alpha, learning_rate_init=3e-4, random_state=self.seed)
            for _ in range(25):
                model.partial_fit(flat[~held], y[~held])
                error = np.mean((model.predict(flat[held]) - y[held]) ** 2)
                if error < best:
                    best, self.model = error, copy.deepcopy(model)

    def outputs(self, x):
        return self.model.predict(x.reshape(len(x), -1))


class GRU(Decoder):
    """GRU of 96 units that reads the lags one after the other; averaged weights, the number of epochs is tuned."""

    def learn(self, x, y, trial, held):
        generator = torch.Generator().manual_seed(self.seed)
        torch.manual_seed(self.seed)
        network = _Recurrent(x.shape[2], y.shape[1])
        average = copy.deepcopy(network).eval()
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.1)
        inputs, values = torch.from_numpy(x).float(), torch.from_numpy(y).float()
        train, kept = torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))
        epochs = int(np.clip(20 * 10_000 / len(train), 20, 200))
        best, since, n_steps = np.inf, 0, 0
        for epoch in range(epochs):
            network.train()
            for rows in train[torch.randperm(len(train), generator=generator)].split(128):
                loss = ((network(inputs[rows]) - values[rows]) ** 2).mean()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                for group in optimizer.param_groups:
                    group["lr"] = 2e-3 * (0.05 + 0.475 * (1 + np.cos(np.pi * epoch / epochs)))
                optimizer.step()
                n_steps += 1
                with torch.no_grad():
                    decay = min(0.99, (1 + n_steps) / (10 + n_steps))
                    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
            with torch.no_grad():
                error = float(((average(inputs[kept]) - values[kept]) ** 2).mean())
            since += 1
            if error < best:
                best, since, self.network = error, 0, copy.deepcopy(average)
            if since >= 6:
                break

    def outputs(self, x):
        with torch.no_grad():
            return self.network(torch.from_numpy(x).float()).double().numpy()


class _Recurrent(nn.Module):
    def __init__(self, n_units: int, n_outputs: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(n_units, 96, batch_first=True)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(96, n_outputs)

    def forward(self, x):
        return self.output(self.dropout(self.recurrent(x)[0][:, -1]))
