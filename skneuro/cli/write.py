"""What the demonstration leaves in its folder: the report, the model and the scores."""

from __future__ import annotations

import html
import importlib.util
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import skneuro
from skneuro.cli import figures
from skneuro.cli.comparison import Score
from skneuro.cli.events import Alignment
from skneuro.cli.models import MODEL
from skneuro.cli.recordings import Loaded
from skneuro.cli.report import Section, facts, page, paragraph, picture, realism_html, score_table
from skneuro.cli.simulation import psth_agreement, whole_bins
from skneuro.cli.split import Split
from skneuro.cli.text_plots import count_of
from skneuro.cli.training import Fitted
from skneuro.data import SpikeTrains, Video
from skneuro.inspection import stimulus_maps, whitened_sta
from skneuro.inspection.sta import n_values

_MAPPED = 4  # units with maps
_STA_SPAN = 0.3  # s
_MOST_VALUES = 4000  # pixels times lags whose covariance takes about a second

_READING = (
    "Bits per spike: log-likelihood of the held-out counts above that of constant Poisson rates fitted on the training "
    "time, per spike; ± is the standard error over blocks of 10 s, or of an eighth of the held-out time where that is "
    "less. A difference is taken for real where its 95 % interval, from Student's t for so many blocks, leaves out "
    "zero. One step ahead: all models are scored on the same bins and know the true past; the GRU, the Neuroformer and "
    "the same-bin GLM also know the units before the one they predict in its bin. The best baseline was chosen on "
    "validation time."
)


@dataclass(frozen=True)
class Result:
    """Everything that the demonstration found.

    Parameters
    ----------
    recording : Loaded
        The recording.
    split : Split
        How it was split.
    bin_width : float
        In seconds.
    fitted : dict of str to Fitted
        All models, baselines first.
    scores : dict of str to Score
        Their scores on the held-out part.
    best : str
        Name of the best baseline.
    sentence : str
        The verdict.
    summary : DataFrame
        The table of models.
    recorded, simulated : SpikeTrains
        Trials to lay side by side.
    alignment : Alignment
        What mean rates are aligned to.
    judged : DataFrame
        Scores of simulations, see `evaluate_generation`.
    """

    recording: Loaded
    split: Split
    bin_width: float
    fitted: dict[str, Fitted]
    scores: dict[str, Score]
    best: str
    sentence: str
    summary: pd.DataFrame
    recorded: SpikeTrains
    simulated: SpikeTrains
    alignment: Alignment
    judged: pd.DataFrame


def write_report(result: Result, folder: Path, seconds: float) -> Iterator[tuple[Path, str]]:
    """Write the model, the scores, a picture and report.html.

    Parameters
    ----------
    result : Result
        What was found.
    folder : Path
        Where to write.
    seconds : float
        Time that the demonstration took until here.

    Yields
    ------
    path : Path
        A file that was written.
    what : str
        What it is.
    """
    model = folder / "neuroformer.skn"
    result.fitted[MODEL].estimator.save(model)
    yield model, "fitted model"
    units = pd.DataFrame({name: s.units for name, s in result.scores.items()})
    units.index = pd.Index(result.recorded.unit_ids, name="unit")
    units.to_csv(folder / "unit_scores.csv", float_format="%.5f")
    yield folder / "unit_scores.csv", "bits per spike of every unit"
    result.summary.to_csv(folder / "scores.csv", float_format="%.5f")
    yield folder / "scores.csv", "table"
    result.judged.to_csv(folder / "generation.csv", float_format="%.5f", index=False)
    yield folder / "generation.csv", "scores of simulated trials"
    if _can_draw():
        shown = figures.overview_figure(
            result.recorded, result.simulated, result.alignment, trial=_longest(result.recorded)
        )
        shown.savefig(folder / "overview.png", dpi=110)
        yield folder / "overview.png", "picture"
    report = folder / "report.html"
    report.write_text(_page(result, seconds), encoding="utf-8")
    yield report, "report"


def _can_draw() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def _longest(spikes: SpikeTrains) -> int:
    return int(np.argmax(spikes.duration))


def _page(result: Result, seconds: float) -> str:
    spikes = result.recording.spikes
    subtitle = (
        f"{count_of(spikes.shape[1], 'unit')}, {spikes.duration.sum():.0f} s, {spikes.n_spikes} spikes, bins of "
        f"{1e3 * result.bin_width:.4g} ms. skneuro {skneuro.__version__}"
    )
    drawn = _can_draw()
    sections = [_comparison(result, drawn)]
    if drawn:
        sections += [_by_unit(result), _simulation(result), *_stimulus(result), _training(result)]
    sections.append(_method(result, seconds))
    if not drawn:
        note = "There are no pictures because matplotlib is not installed (pip install matplotlib)."
        sections.insert(0, Section("Pictures", paragraph(note)))
    return page(f"Neuroformer on {result.recording.name}", subtitle, result.sentence, sections)


def _comparison(result: Result, drawn: bool) -> Section:
    scores = list(result.scores.values())
    body = score_table(result.summary, MODEL, result.best)
    body += paragraph(_READING, note=True)
    if drawn:
        figure = figures.score_figure(scores, result.scores[MODEL], result.scores[result.best])
        body += picture(figure, "Bars of held-out bits per spike, one a model")
    return Section("How well is held-out activity predicted?", body)


def _by_unit(result: Result) -> Section:
    figure = figures.unit_figure(result.scores[MODEL], result.scores[result.best])
    caption = f"Left: above the line the {MODEL} predicts the unit better than the best baseline."
    return Section("Which units gain?", picture(figure, "The Neuroformer against the best baseline", caption))


def _simulation(result: Result) -> Section:
    r, halves = psth_agreement(result.recorded, result.simulated, result.alignment)
    binned = (s.bin(result.bin_width) for s in (result.recorded, result.simulated))
    recorded, simulated = (b.unit_counts().sum() / b.exposure().sum() for b in binned)
    text = (
        f"{len(result.simulated)} trials drawn from the fitted {MODEL} in closed loop: its own spikes are its past. A "
        f"unit fires at {simulated:.2f} Hz on average, {recorded:.2f} Hz as recorded. "
    )
    if not 2 / 3 < simulated / recorded < 3 / 2:
        text += "The loop is not stable: do not trust these trials. "
    if np.isfinite(r) and np.isfinite(halves):
        text += (
            f"Mean rates around the {result.alignment.name}, in bins of {1e3 * result.alignment.bin_width:.4g} ms, "
            f"correlate with the recorded ones by {r:.2f} (mean over units); two halves of the recording correlate by "
            f"{halves:.2f}, which a perfect model would reach."
        )
    body = paragraph(text)
    body += picture(
        figures.raster_figure(result.recorded, result.simulated, trial=_longest(result.recorded)),
        "Raster of a recorded trial above that of a simulated one",
        "Simulated spikes need not fall where recorded ones do; rates, bursts and co-activity should look alike.",
    )
    body += picture(
        figures.psth_figure(result.recorded, result.simulated, result.alignment),
        "Mean rates of units around an event, recorded and simulated",
        f"Mean rate ± standard error around the {result.alignment.name}, the units that vary most.",
    )
    body += picture(
        figures.statistics_figure(result.recorded, result.simulated, whole_bins(0.05, result.bin_width)),
        "Rates, pair correlations and population counts, recorded and simulated",
    )
    body += picture(
        figures.realism_figure(result.judged, MODEL),
        "Distance of simulated from recorded trials in many respects, in units of the recording's own floor",
        "Distance from the held-out trials over that of the training trials from them; 1 is as near as the recording "
        f"is to itself. Mean responses and pairs are in bins of {1e3 * result.bin_width:.4g} ms, "
        "below which nothing is modelled.",
    )
    body += realism_html(result.judged, MODEL)
    return Section("Does simulated activity look like the recording?", body)


def _stimulus(result: Result) -> list[Section]:
    """Where a video was shown, which part of it drives the units."""
    given = result.split.test.modalities
    videos = {name: m for name, m in given.items() if isinstance(m, Video)} if given is not None else {}
    if not videos:
        return []
    name, video = next(iter(videos.items()))
    maps = stimulus_maps(result.fitted[MODEL].estimator, result.split.test, modality=name, n_contexts=128)
    strongest = np.argsort((maps.maps**2).sum(axis=(1, 2, 3)))[::-1][:_MAPPED]
    units = np.asarray(maps.unit_ids)[np.sort(strongest)].tolist()
    body = paragraph(
        f"The {len(units)} units that the video drives most in the model, one a row, scaled by its own peak: root mean "
        "square, over bins of held-out trials, of what a pixel adds to the unit's log intensity (slope times deviation "
        "from the mean frame), by the time from the frame's onset to the middle of the bin."
    )
    body += picture(figures.stimulus_figure(maps, video, units), "Maps of which pixels drive units, at several lags")
    train = result.split.train
    seen = train.modalities[name] if train.modalities is not None else video
    if n_values(seen, _STA_SPAN) <= _MOST_VALUES:
        average = whitened_sta(train.spikes, seen, bin_width=result.bin_width, span=_STA_SPAN)
        caption = "The same without a model: the spike-triggered average of the training time, whitened."
        body += picture(figures.stimulus_figure(average, seen, units), "Whitened spike-triggered averages", caption)
    return [Section("Which part of the video drives which unit?", body)]


def _training(result: Result) -> Section:
    trained = {name: f.estimator for name, f in result.fitted.items() if hasattr(f.estimator, "loss_curve_")}
    return Section("Training", picture(figures.training_figure(trained), "Loss and validation score by epoch"))


def _warnings(fitted: Mapping[str, Fitted]) -> dict[str, str]:
    """What models warned of; those that said the same stand together."""
    said: dict[tuple[str, ...], list[str]] = {}
    for name, model in fitted.items():
        said.setdefault(model.warnings, []).append(name)
    return {f"{', '.join(names)} warned": "; ".join(messages) for messages, names in said.items() if messages}


def _method(result: Result, seconds: float) -> Section:
    split, model = result.split, result.fitted[MODEL]
    train, validation, test = (p.spikes.duration.sum() / 60 for p in (split.train, split.validation, split.test))
    given = ("spikes", *(split.train.modalities.names if split.train.modalities is not None else ()))
    body = facts(
        {
            "Recording": result.recording.description,
            "Models are given": ", ".join(given),
            "Split": split.description,
            "Length": f"{train:.1f} min to train, {validation:.1f} min to choose, {test:.1f} min held out",
            "Time": f"{seconds:.0f} s in all, {model.seconds:.0f} s of it to fit the {MODEL}",
            "Made with": f"skneuro {skneuro.__version__}, Python {platform.python_version()}",
        }
        | _warnings(result.fitted)
    )
    code = (
        "from skneuro import load\n\n"
        'model = load("neuroformer.skn")\n'
        "model.score(spikes, stimuli)    # bits per spike on your held-out trials\n"
        "model.sample(stimuli)           # simulated trials\n"
    )
    settings = html.escape(" ".join(repr(model.estimator).split()))
    body += f"<p>The fitted model:</p><pre>{html.escape(code)}</pre><p class=note>{settings}</p>"
    return Section("How it was done", body)
