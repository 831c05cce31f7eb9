"""`pull` and `push`: from the arguments to the exit status."""

import argparse
import logging
import sys
import time

from app.fleet import push as pushing
from app.fleet.pull import Pull, alone, remove_drafts
from app.fleet.remote_store import RemoteStore
from app.monitoring.log_once import LogOnce
from app.score.errors import UsageError
from model.errors import CamspectorError, RemoteStoreError
from model.signatures import TrustedKeys
from model.store import Store

log = logging.getLogger(__name__)


def pull(arguments: argparse.Namespace) -> int:
    """1 where something wasn't taken. With --every it doesn't return. Raises UsageError or KeyFileError."""
    store, remote = Store(arguments.store), RemoteStore(arguments.url)
    trusted = TrustedKeys.read(arguments.trusted_keys) if arguments.trusted_keys else None
    pulling, warnings = Pull(remote, store, trusted, log.info), LogOnce(log)
    with alone(store):
        while True:
            problems = _pull(pulling, arguments.model, serving=not arguments.no_serving)
            warnings.update(set(problems))
            if arguments.every is None:
                return 1 if problems else 0
            time.sleep(arguments.every)


def _pull(pulling: Pull, model: str | None, *, serving: bool) -> list[str]:
    """What went wrong."""
    problems: list[str] = []
    try:
        models = pulling.remote.models()
        if model and model not in models:
            return [f"{pulling.remote.url} has no model {model!r}; there are: {', '.join(models) or 'none'}"]
        for name in [model] if model else models:
            problems += pulling.model(name, serving=serving)
            remove_drafts(pulling.store, name, pulling.remote.versions(name))
        if serving and not model:
            problems += pulling.recipes()
    except RemoteStoreError as error:
        problems.append(str(error))
    return problems


def push(arguments: argparse.Namespace) -> int:
    """1 where something wasn't sent. Raises UsageError, UnknownModelError or UnknownVersionError."""
    if arguments.version and not arguments.model:
        raise UsageError("--version needs --model")
    store, remote, status = Store(arguments.store), RemoteStore(arguments.url), 0
    for model in [arguments.model] if arguments.model else store.models():
        versions = [arguments.version] if arguments.version else store.versions(model)
        store.path(model, versions[0])
        try:
            pushing.push(store, remote, model, versions, serving=not arguments.no_serving, say=log.info)
        except CamspectorError as error:
            sys.stderr.write(f"model {model!r}: {error}\n")
            status = 1
    if not arguments.model and not arguments.no_serving:
        try:
            pushing.push_recipes(store, remote, log.info)
        except CamspectorError as error:
            sys.stderr.write(f"{error}\n")
            status = 1
    return status
