"""Names as one writes them."""

from __future__ import annotations

_WRITTEN = {"psth": "PSTH", "rmse": "RMSE", "kl": "KL", "isi": "ISI", "fano": "Fano", "victor": "Victor",
            "purpura": "Purpura", "rossum": "Rossum"}  # fmt: skip


def written(metric: str) -> str:
    """A metric of `evaluate_generation` as one writes it: ``isi_sd_rmse`` is ISI sd RMSE."""
    return " ".join(_WRITTEN.get(word, word) for word in metric.split("_"))
