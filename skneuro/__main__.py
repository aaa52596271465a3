"""The command `skneuro`, the same as `python -m skneuro`."""

import argparse
import sys
import warnings
from collections.abc import Sequence

import skneuro
from skneuro.cli.errors import CommandError
from skneuro.cli.recordings import DATASETS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What follows the name of the command; ``sys.argv[1:]`` by default.

    Returns
    -------
    status : int
        0: done; 1: `check` found something serious; 2: the input was not usable; 130: interrupted.

    Examples
    --------
    >>> from skneuro.__main__ import main
    >>> main(["check", "no-such-file.npz"])
    2
    """
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _ShowOnce()
            return options.run(options)
    except CommandError as error:
        print(f"skneuro: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nskneuro: interrupted", file=sys.stderr)
        return 130


class _ShowOnce:
    """A line for each warning, once, without the place in the code, which means nothing to who typed the command."""

    def __init__(self) -> None:
        self.shown: set[str] = set()

    def __call__(self, message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        text = " ".join(str(message).split())
        if issubclass(category, UserWarning) and text not in self.shown:
            self.shown.add(text)
            print(f"skneuro: warning: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skneuro", description="Generative models of neural populations, with scikit-learn's interface."
    )
    parser.add_argument("--version", action="version", version=f"skneuro {skneuro.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser(
        "check",
        help="find what is wrong with a recording",
        description="Find what is wrong with a recording. Ends with status 1 if something serious was found.",
    )
    check.add_argument("recording", metavar="FILE", help=f".npz or .nwb file, or one of {', '.join(DATASETS)}")
    check.set_defaults(run=_run_check)

    demo = commands.add_parser(
        "demo",
        help="fit a Neuroformer and the baselines to a recording and write a report",
        description=(
            "Fit a Neuroformer and the baselines to a recording, compare them on held-out time, simulate trials, and "
            "write report.html and the fitted model."
        ),
    )
    source = demo.add_mutually_exclusive_group()
    source.add_argument("--dataset", choices=list(DATASETS), default="hub", help="default: hub, which is simulated")
    source.add_argument("--npz", metavar="FILE", help="a recording of your own: times, units, t_start, t_stop")
    source.add_argument("--nwb", metavar="FILE", help="a recording of your own in NWB")
    demo.add_argument("--quick", action="store_true", help="about a minute on two cores instead of about five")
    demo.add_argument("--output", metavar="DIR", default="skneuro-demo", help="default: %(default)s")
    demo.add_argument("--seed", metavar="N", type=int, default=0, help="default: %(default)s")
    demo.add_argument("--bin-width", metavar="S", type=float, help="in seconds; default: that of the data set, or 0.02")
    demo.set_defaults(run=_run_demo)
    return parser


def _run_check(options: argparse.Namespace) -> int:
    from skneuro.cli.check import run_check

    return run_check(options.recording)


def _run_demo(options: argparse.Namespace) -> int:
    from skneuro.cli.demo import run_demo

    return run_demo(
        options.npz or options.nwb or options.dataset,
        quick=options.quick,
        output=options.output,
        seed=options.seed,
        bin_width=options.bin_width,
    )


if __name__ == "__main__":
    sys.exit(main())
