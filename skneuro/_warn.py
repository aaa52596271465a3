"""`warn_user`: warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings

# Packages that stand between a user's line and ours: scikit-learn calls our `fit` in searches, through joblib.
_BETWEEN = ("skneuro", "sklearn", "joblib")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line up the stack that is not of skneuro, scikit-learn or joblib.

    Parameters
    ----------
    message : str
        What to say.
    category : type of warning, default=UserWarning
        Kind of the warning.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
