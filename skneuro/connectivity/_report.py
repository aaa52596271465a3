"""What can be done with an adjacency once it is there: tables, graphs, summaries by area."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.exceptions import UndefinedMetricWarning

from skneuro._sklearn_compat import check_is_fitted
from skneuro._warn import warn_user
from skneuro.connectivity.truth import read_truth
from skneuro.metrics.connectivity import adjacency_scores, auprc
from skneuro.preprocessing._units import check_unit_ids, read_units

__all__ = ["AdjacencyReport"]

_UNSIGNED = ("transfer_entropy", "attention")  # methods whose strengths are never negative


class AdjacencyReport:
    """Methods of an estimator that has ``adjacency_``, ``unit_ids_`` and, where known, ``unit_info_``.

    Examples
    --------
    >>> from skneuro.connectivity import ConnectivityInference
    >>> from skneuro.connectivity._report import AdjacencyReport
    >>> issubclass(ConnectivityInference, AdjacencyReport)
    True
    """

    adjacency_: np.ndarray
    unit_ids_: np.ndarray
    unit_info_: pd.DataFrame | None

    def score(self, X: Any, y: Any = None) -> float:
        """Average precision of ``|adjacency_|`` for finding the true edges (AUPRC), off the diagonal.

        Parameters
        ----------
        X : SpikeTrains, Recording, or counts of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Only checked to be of the units seen in `fit`; the adjacency is not inferred again.
        y : array-like or DataFrame of shape (n_units, n_units)
            True adjacency ``[target, source]``; 0 for no edge, NaN where it is not known. A DataFrame is
            brought in the order of the units by its labels.

        Returns
        -------
        float
            NaN, with an `UndefinedMetricWarning`, where `y` is one value per row, as scikit-learn's own tools
            pass it, or None: without a true adjacency there is nothing to score; and where no known pair is an edge.

        Raises
        ------
        ValueError
            If `y` is a matrix of another shape, or of other units.
        """
        check_is_fitted(self)
        read_units(self, X, bin_width=self._bin_width, counts=self.counts, reset=False)
        if y is None or _n_dimensions(y) != 2:
            warn_user(
                "score needs the true adjacency, a matrix [target, source]; without one the score is NaN.",
                UndefinedMetricWarning,
            )
            return float("nan")
        found = auprc(self.adjacency_, read_truth(y, self.unit_ids_, self.adjacency_))
        if np.isnan(found):
            warn_user(
                "Among the known pairs of the true adjacency there is no edge, or nothing else; the score is NaN.",
                UndefinedMetricWarning,
            )
        return found

    def compare(self, other: Any) -> dict[str, float]:
        """Compare the adjacency with a known truth, or with another method's.

        Parameters
        ----------
        other : array-like or DataFrame of shape (n_units, n_units), or fitted ConnectivityInference
            A matrix is taken as the true adjacency ``[target, source]``, 0 for no edge and NaN where it is
            not known.

        Returns
        -------
        dict of str to float
            For a truth, as `skneuro.metrics.connectivity.adjacency_scores`. For another inference, over the
            pairs that both know: ``pearson`` and ``spearman`` correlation, ``sign_agreement`` and
            ``n_pairs``. What is said of signs is NaN where a method knows none (``"transfer_entropy"``,
            ``"attention"``).

        Raises
        ------
        ValueError
            If the units or the shape differ.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.connectivity import ConnectivityInference
        >>> counts = np.random.default_rng(0).poisson(0.2, (500, 3))
        >>> glm = ConnectivityInference(method="glm").fit(counts)
        >>> glm.compare(ConnectivityInference(method="glm").fit(counts))["sign_agreement"]
        1.0
        """
        check_is_fitted(self)
        if not isinstance(other, AdjacencyReport):
            scores = adjacency_scores(self.adjacency_, read_truth(other, self.unit_ids_, self.adjacency_))
            return scores if self._signed() else scores | dict.fromkeys(("sign_accuracy", "signed_r2"), float("nan"))
        check_is_fitted(other)
        check_unit_ids(other.unit_ids_, self.unit_ids_)
        both = ~(np.isnan(self.adjacency_) | np.isnan(other.adjacency_))
        mine, theirs = self.adjacency_[both], other.adjacency_[both]
        agree = self._signed() and other._signed() and len(mine) > 0
        varied = len(mine) > 1 and np.ptp(mine) > 0 and np.ptp(theirs) > 0
        return {
            "pearson": float(np.corrcoef(mine, theirs)[0, 1]) if varied else float("nan"),
            "spearman": float(stats.spearmanr(mine, theirs).statistic) if varied else float("nan"),
            "sign_agreement": float((np.sign(mine) == np.sign(theirs)).mean()) if agree else float("nan"),
            "n_pairs": len(mine),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the adjacency as a table.

        Returns
        -------
        DataFrame of shape (n_units, n_units)
            Rows are targets, columns are sources, both labelled by unit id.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.connectivity import ConnectivityInference
        >>> counts = np.random.default_rng(0).poisson(0.2, (500, 3))
        >>> ConnectivityInference(method="pearson").fit(counts).to_frame().shape
        (3, 3)
        """
        check_is_fitted(self)
        return pd.DataFrame(
            self.adjacency_,
            index=pd.Index(self.unit_ids_, name="target"),
            columns=pd.Index(self.unit_ids_, name="source"),
        )

    def to_networkx(self, *, significant: bool = True) -> Any:
        """Return the adjacency as a directed graph, from sources to targets.

        Parameters
        ----------
        significant : bool, default=True
            Only the edges in ``significant_``; False takes every pair whose strength is known and not zero.

        Returns
        -------
        networkx.DiGraph
            Nodes are unit ids, with the columns of ``unit_info`` as attributes where there are any; edges have
            ``weight``, and ``probability`` where the method has a posterior.

        Raises
        ------
        ImportError
            If networkx is not installed.
        ValueError
            If ``significant=True`` and the method says nothing about significance.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.connectivity import ConnectivityInference
        >>> counts = np.random.default_rng(0).poisson(0.1, (5000, 8))
        >>> counts[1:, 1] += counts[:-1, 0]
        >>> graph = ConnectivityInference(method="glm").fit(counts).to_networkx()
        >>> [(int(a), int(b)) for a, b in graph.edges]
        [(0, 1)]
        """
        check_is_fitted(self)
        try:
            import networkx
        except ImportError as error:
            raise ImportError("to_networkx needs networkx: pip install networkx") from error
        kept = self._shown(significant) & (np.nan_to_num(self.adjacency_) != 0)
        graph = networkx.DiGraph()
        info = self.unit_info_
        for k, unit in enumerate(self.unit_ids_.tolist()):
            graph.add_node(unit, **({} if info is None else info.iloc[k].to_dict()))
        posterior = getattr(self, "posterior_", None)
        for target, source in np.argwhere(kept):
            extra = {} if posterior is None else {"probability": float(posterior[target, source])}
            ends = self.unit_ids_[[source, target]].tolist()
            graph.add_edge(*ends, weight=float(self.adjacency_[target, source]), **extra)
        return graph

    def area_to_area(self, column: str = "area", *, significant: bool = True) -> pd.DataFrame:
        """Summarise the couplings between groups of units.

        Parameters
        ----------
        column : str, default="area"
            Column of ``unit_info`` that names the group of each unit: an area, a layer, a cell type. Units without
            one are left out.
        significant : bool, default=True
            Count only edges in ``significant_``; False counts every pair of known strength.

        Returns
        -------
        DataFrame
            One row for each pair of groups, indexed by ``target`` and ``source``: ``n_pairs`` (known pairs, of
            different units), ``n_edges``, ``density`` (edges per pair), ``mean_strength`` (mean of the edges'
            ``adjacency_``) and ``fraction_excitatory`` (of the edges; NaN where there are none, or where the method
            knows no sign).

        Raises
        ------
        ValueError
            If the spikes had no such column, or ``significant=True`` and the method says nothing about significance.

        Examples
        --------
        >>> from skneuro import ConnectivityInference
        >>> from skneuro.datasets import make_hub_network
        >>> network = make_hub_network(n_units=12, duration=30.0, random_state=0)
        >>> table = ConnectivityInference(method="ccg").fit(network.spikes).area_to_area("type")
        >>> int(table["n_pairs"].sum())
        132
        """
        check_is_fitted(self)
        info = self.unit_info_
        if info is None or not isinstance(column, Hashable) or column not in info:
            there = [] if info is None else list(info.columns)
            raise ValueError(
                f"area_to_area needs unit_info with a column {column!r}, in the spikes given to fit. Got {there}."
            )
        chosen, known, signed = self._shown(significant), ~np.isnan(self.adjacency_), self._signed()
        labels = info[column].to_numpy()
        groups = pd.unique(labels[~pd.isna(labels)])
        rows = []
        for target in groups:
            for source in groups:
                block = np.ix_(labels == target, labels == source)
                n_pairs, edges = int(known[block].sum()), self.adjacency_[block][chosen[block] & known[block]]
                rows.append(
                    {
                        "target": target,
                        "source": source,
                        "n_pairs": n_pairs,
                        "n_edges": len(edges),
                        "density": len(edges) / n_pairs if n_pairs else float("nan"),
                        "mean_strength": float(edges.mean()) if len(edges) else float("nan"),
                        "fraction_excitatory": float((edges > 0).mean()) if len(edges) and signed else float("nan"),
                    }
                )
        return pd.DataFrame(rows).set_index(["target", "source"])

    def _signed(self) -> bool:
        return self.__dict__.get("method") not in _UNSIGNED

    def _shown(self, significant: bool) -> np.ndarray:
        if not significant:
            return ~np.isnan(self.adjacency_)
        if not hasattr(self, "significant_"):
            raise ValueError(f"{self._no_significance()} Pass significant=False to take every pair.")
        return self.significant_

    def __getattr__(self, name: str) -> Any:
        if name == "significant_" and "adjacency_" in self.__dict__:
            raise AttributeError(self._no_significance())
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _no_significance(self) -> str:
        method = self.__dict__.get("method")
        if "z_scores_" in self.__dict__:
            return (
                f"method={method!r} has no significant_: where units share input, its z_scores_ find false edges far "
                "above any stated rate. Use method='coupling', 'glm' or 'ccg'."
            )
        return (
            f"method={method!r} has no significant_: what is read from a fitted model comes without an error. Leave "
            "estimator=None, and use method='coupling', 'glm' or 'ccg'."
        )


def _n_dimensions(truth: Any) -> int:
    try:
        return np.ndim(truth)
    except ValueError:  # rows of different lengths: a matrix was meant
        return 2
