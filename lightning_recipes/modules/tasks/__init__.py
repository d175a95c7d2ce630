"""Tasks by name, one a file."""

from lightning_recipes.components import import_object
from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.modules.tasks.multiclass import Multiclass
from lightning_recipes.modules.tasks.multilabel import Multilabel
from lightning_recipes.modules.tasks.task import Task

__all__ = ["TASKS", "Task", "create_task"]

TASKS: dict[str, type[Task]] = {"multiclass": Multiclass, "multilabel": Multilabel}


def create_task(name: str) -> Task:
    """Return the task that a recipe names, one of :data:`TASKS` or the import path of a class without arguments.

    Raises:
        UserError: There is no such task.
    """
    if name not in TASKS and "." not in name:
        raise UserError(f"model.task: '{name}' is not one of {', '.join(TASKS)}{did_you_mean(name, TASKS)}")
    task: Task = (TASKS.get(name) or import_object("model.task", name))()
    return task
