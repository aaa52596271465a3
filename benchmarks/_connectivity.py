"""What the connectivity benchmarks share: the baselines of pairs of units."""

from __future__ import annotations

BASELINES = {
    "Pearson": {"method": "pearson"},
    "partial correlation": {"method": "partial_correlation"},
    "lagged correlation": {"method": "lagged_correlation"},
    "transfer entropy": {"method": "transfer_entropy"},
    "CCG": {"method": "ccg"},
    "GLM": {"method": "glm"},
}
