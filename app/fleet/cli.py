"""The arguments of `pull` and `push`."""

import argparse
from pathlib import Path

from app.score.cli import seconds
from model.program import program


def pull_arguments(flags: list[str]) -> argparse.Namespace:
    """--help and wrong flags raise SystemExit."""
    parser = _parser("pull", "Take versions, serving.json and recipes.json from a store elsewhere into this one.")
    parser.add_argument("--from", dest="url", required=True, metavar="URL", help="folder, http(s)://, sftp://, s3:// …")
    parser.add_argument("--trusted-keys", type=Path, metavar="FILE", help="public keys; others' versions aren't taken")
    parser.add_argument("--every", type=seconds(1), metavar="SECONDS", help="go on, and look again after so long")
    return parser.parse_args(flags)


def push_arguments(flags: list[str]) -> argparse.Namespace:
    """--help and wrong flags raise SystemExit."""
    parser = _parser("push", "Send versions, serving.json and recipes.json of this store to one elsewhere.")
    parser.add_argument("--to", dest="url", required=True, metavar="URL", help="folder, sftp://, s3:// …")
    parser.add_argument("--version", type=int, metavar="N", help="only this version; needs --model")
    return parser.parse_args(flags)


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{program('app')} {command}", description=description)
    parser.add_argument("--store", type=Path, required=True, metavar="DIR", help="folder of models")
    parser.add_argument("--model", metavar="NAME", help="only this model, and no recipes.json")
    parser.add_argument("--no-serving", action="store_true", help="without serving.json and recipes.json")
    return parser
