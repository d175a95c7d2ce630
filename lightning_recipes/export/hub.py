"""A folder, put into a repository of the Hugging Face hub."""

from pathlib import Path

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from lightning_recipes._version import __version__
from lightning_recipes.errors import UserError

__all__ = ["push", "refuse_bad_repo"]


def refuse_bad_repo(repo: str | None) -> str:
    """Return the name of a repository that can be written to, as far as can be told without asking anybody.

    Raises:
        UserError: There is none, it cannot be one, or there is no token.
    """
    if repo is None:
        raise UserError("repo: the hub needs the name of a repository; give --repo OWNER/NAME")
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UserError(f"repo: '{repo}' is no name of a repository ({error}); give --repo OWNER/NAME") from None
    if get_token() is None:
        raise UserError("repo: there is no token of the Hugging Face hub here; hf auth login, or set HF_TOKEN")
    return repo


def push(folder: Path, repo: str, *, private: bool) -> str:
    """Put all files of a folder into a repository, which is made where it is not there; return its address.

    Args:
        folder: Stays as it is.
        repo: ``OWNER/NAME``, or ``NAME`` of one's own.
        private: Of a repository that is made.

    Raises:
        UserError: The hub does not answer, or does not allow it.
    """
    api = HfApi(library_name="lightning-recipes", library_version=__version__)
    try:
        made = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Add model")
    except Exception as error:  # of whichever library the hub's client asks with
        raise UserError(
            f"repo: '{repo}' could not be written ({_line(error)}); {folder} is whole: hf upload {repo} {folder}"
        ) from None
    return str(made)


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
