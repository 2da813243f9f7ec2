"""The Hugging Face Hub: weights from a repository, a folder into one. What goes wrong is a UserError of one line."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_token, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import tqdm, validate_repo_id

from gan_dist.errors import UserError, reason

WEIGHTS = ["model.safetensors", "config.json"]
LOGIN = "log in with `hf auth login`"


class _Bar(tqdm):
    """On a terminal alone."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"disable": None} | options)


def is_name(word: object) -> bool:
    """Whether `word` can be the name of a repository, user/name."""
    if not isinstance(word, str) or word.count("/") != 1:
        return False
    try:
        validate_repo_id(word)
    except HFValidationError:
        return False
    return True


def download(name: str, revision: str | None = None) -> Path:
    """The folder with the weights of a repository, which may have none; what is in the cache is not fetched again.

    No code comes along. Raises UserError.
    """
    with _telling(f"{name}: there is no such folder here, and", revision):
        return Path(snapshot_download(name, revision=revision, allow_patterns=WEIGHTS, tqdm_class=_Bar))


def check_login() -> None:
    """Raise UserError if there is no token."""
    if not get_token():
        raise UserError(f"no token for {constants.ENDPOINT}: {LOGIN}, or set HF_TOKEN")


def upload(folder: Path, name: str, private: bool, message: str) -> str:
    """Put all files of a folder into a repository, which is made if there is none, as one commit -> its address.

    Raises UserError, also if it is to be private and is public.
    """
    api = HfApi()
    with _telling(f"{name}: nothing was published, as"):
        address = api.create_repo(name, private=private or None, exist_ok=True)
        if private and not api.model_info(name).private:
            raise UserError(
                f"--private: {name} is there and is public; make it private in its settings, or name another"
            )
        api.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
    return str(address)


@contextlib.contextmanager
def _telling(words: str, revision: str | None = None) -> Iterator[None]:
    """Turn what the client raises into a UserError; each version of it has HTTP errors of its own."""
    hub = constants.ENDPOINT
    try:
        yield
    except UserError:
        raise
    except RevisionNotFoundError:
        raise UserError(f"revision {revision}: there is no such branch, tag or commit; leave it out") from None
    except RepositoryNotFoundError:
        raise UserError(
            f"{words} {hub} has no repository of this name that you may read; name another, or {LOGIN}"
        ) from None
    except Exception as error:
        response = error.response if isinstance(error, HfHubHTTPError) else None
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        if response is None:
            raise UserError(f"{words} {hub} cannot be reached ({reason(cause)}); try again later") from None
        if response.status_code == 401:
            raise UserError(f"{words} {hub} does not know this token; {LOGIN} again") from None
        if response.status_code == 403:
            raise UserError(f"{words} this token may not write there ({hub}); name another, or {LOGIN} again") from None
        raise UserError(f"{words} {hub} refuses ({reason(error)}); try again later") from None
