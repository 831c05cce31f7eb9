"""The command line of training: collect, fit, crossval, curve, evaluate, report, msa, challenge, weights."""

import argparse
import os
import sys

from model.engines.devices import choose_device
from model.errors import CamspectorError
from model.signatures import SigningKey
from model.store import Store
from training.cli import KEY_VARIABLE, parse
from training.progress import Reporter


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0, or 1 with a clear error on standard error, or 130 after Ctrl-C."""
    arguments = parse(argv)
    try:
        COMMANDS[arguments.command](arguments, Reporter())
    except CamspectorError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


# Heavy modules are imported by the command that needs them, so that --help answers at once.


def _fit(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.cli_run import check_task, prepare_run
    from training.evaluation.evaluate import results
    from training.fit import fit
    from training.learning_curve import read_curve
    from training.report.results import write_results

    store = _signing_store(arguments)
    curve = read_curve(arguments.curve) if arguments.curve else None
    task = check_task(arguments, reporter)
    store.check_writable(arguments.model)
    run, estimator = prepare_run(arguments, task, reporter, store.root / arguments.model)
    fitted = fit(estimator, run, store, arguments.model, curve)
    if arguments.json:
        write_results(arguments.json, {**results(fitted), "seconds": reporter.seconds}, fitted.predictions)


def _crossval(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.cli_run import check_task, prepare_folds
    from training.cross_validation import cross_validate, summary
    from training.evaluation.figures import table
    from training.report.builders import run_report
    from training.report.results import write_results
    from training.report.writer import write_report

    task = check_task(arguments, reporter)
    run, estimator = prepare_folds(arguments, task, reporter)
    result = cross_validate(estimator, task.splits, run)
    reporter.line(table(result.pooled))
    if arguments.report:
        about = "a cross-validation: how good a model that learns from such images will be; none was exported"
        report = run_report(run, arguments.data.resolve().name, about, result.predictions, result.pooled)
        write_report(arguments.report, report)
    if arguments.json:
        write_results(arguments.json, summary(result, run), result.predictions)


def _curve(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.cli_run import check_task, prepare_folds
    from training.cli_validation import check_error_bounds
    from training.learning_curve import MEMBER, choose_draws, learning_curve
    from training.recipe import as_dict
    from training.report.results import write_results

    task = check_task(arguments, reporter)
    check_error_bounds(task.rule, min(arguments.defects), len(task.dataset.samples))
    choose_draws(task.dataset.samples, task.recipe, arguments.defects, arguments.draws)
    run, estimator = prepare_folds(arguments, task, reporter)
    points = learning_curve(estimator, run, arguments.defects, arguments.draws)
    if arguments.json:
        write_results(arguments.json, {"recipe": as_dict(task.recipe), MEMBER: points}, [])


def _evaluate(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from model.artifact import read_artifact
    from training.cli_validation import check_evaluation, rule_of
    from training.data.dataset import load_dataset
    from training.evaluation.evaluate import evaluate, results
    from training.evaluation.figures import table
    from training.export.disk_space import check_room_for_copy
    from training.recalibrate import choose_method, recalibrate
    from training.report.builders import write_evaluation_report
    from training.report.results import check_writable, write_results
    from training.report.writer import copy_report

    check_evaluation(arguments)
    check_writable(arguments.json, arguments.report)
    store = _signing_store(arguments)
    path = store.path(arguments.model, arguments.version)
    dataset = load_dataset(arguments.data, group=arguments.group, sample=None, seed=0, reporter=reporter)
    if arguments.recalibrate:
        method = choose_method(
            read_artifact(path).manifest,
            dataset,
            rule_of(arguments),
            arguments.defect_rate,
            arguments.odd_rate,
            arguments.parts_per_false_alarm,
        )
        store.check_writable(arguments.model)
        check_room_for_copy(path)
    evaluation = evaluate(
        path,
        dataset,
        choose_device(arguments.device),
        reporter,
        arguments.defect_rate,
        narrow=arguments.recalibrate,
    )
    reporter.line(table(evaluation.figures))
    if arguments.recalibrate:
        evaluation = recalibrate(evaluation, dataset, method, store, reporter)
        reporter.line(f"\nversion {evaluation.version.name} has new thresholds:\n{table(evaluation.figures)}")
        for warning in evaluation.warnings:
            reporter.line(f"warning: {warning}")
    if arguments.report:
        if arguments.recalibrate:
            copy_report(evaluation.version, arguments.report)
        else:
            write_evaluation_report(arguments.report, evaluation, dataset, reporter.seconds)
    if arguments.json:
        write_results(arguments.json, results(evaluation), evaluation.predictions)


def _report(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.cli_validation import check_defect_rate
    from training.data.dataset import load_dataset
    from training.evaluation.evaluate import evaluate
    from training.report.builders import write_evaluation_report
    from training.report.results import check_writable

    check_defect_rate(arguments)
    check_writable(None, arguments.out)
    path = Store(arguments.store).path(arguments.model, arguments.version)
    dataset = load_dataset(arguments.data, group=None, sample=None, seed=0, reporter=reporter)
    evaluation = evaluate(path, dataset, choose_device(arguments.device), reporter, arguments.defect_rate)
    write_evaluation_report(arguments.out, evaluation, dataset, reporter.seconds)
    reporter.line(f"look at it: {arguments.out / 'report.html'}")


def _msa(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.msa.images import find_study
    from training.msa.report import table, write_json, write_study
    from training.msa.study import run_study
    from training.report.results import check_writable

    check_writable(arguments.json, arguments.report)
    images = find_study(arguments.study, reporter.line)
    device = choose_device(arguments.device)
    report = run_study(Store(arguments.store), arguments.model, arguments.version, images, device, reporter)
    for warning in report.warnings:
        reporter.line(f"warning: {warning}")
    reporter.line(table(report))
    if arguments.report:
        write_study(arguments.report, report)
        reporter.line(f"look at it: {arguments.report / 'report.html'}")
    if arguments.json:
        write_json(arguments.json, report)


def _challenge(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.challenge import challenge_files, pick
    from training.data.dataset import load_dataset
    from training.evaluation.evaluate import predict_all
    from training.serving_version import open_serving

    store = Store(arguments.store)
    store.check_challenge(arguments.model, replace=arguments.replace)
    serving = open_serving(store, arguments.model, arguments.version, choose_device(arguments.device))
    dataset = load_dataset(arguments.data, group=None, sample=None, seed=0, reporter=reporter)
    picked = pick(predict_all(serving.detector, dataset.samples, reporter), arguments.each, reporter)
    folder = store.set_challenge(arguments.model, challenge_files(picked), replace=arguments.replace)
    reporter.line(f"{len(picked)} challenge images of {arguments.model!r} are in {folder}")


def _weights(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.features.imagenet import imagenet_trunk

    imagenet_trunk(arguments.weights, say=reporter.line)


def _signing_store(arguments: argparse.Namespace) -> Store:
    """Raises KeyFileError: before hours of training."""
    return Store(arguments.store, signing_key=SigningKey.read(arguments.sign) if arguments.sign else None)


def _collect(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.collect import Service, collect

    service = Service(arguments.url, os.environ.get(KEY_VARIABLE))
    collect(service, arguments.model, arguments.out, reporter.line)


COMMANDS = {
    "collect": _collect,
    "fit": _fit,
    "crossval": _crossval,
    "curve": _curve,
    "evaluate": _evaluate,
    "report": _report,
    "msa": _msa,
    "challenge": _challenge,
    "weights": _weights,
}

if __name__ == "__main__":
    sys.exit(main())
