"""Our deployments, as prefect.yaml describes them, made for a work pool or served from this process."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import structlog
import yaml
from prefect import serve
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.events import DeploymentTriggerTypes
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.runner.storage import LocalStorage
from prefect.schedules import Cron, Interval
from prefect.types.entrypoint import EntrypointType
from pydantic import TypeAdapter

from trap.config import PipelineConfig
from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner.storage import LocalStorage
from prefect.schedules import Schedule

__all__ = ["DeploymentOptions", "deploy", "load_deployments", "serve_here"]

log = structlog.get_logger(__name__)

HERE = Path(__file__).parents[1]
IN_CONTAINER = Path("/app")
"""Working folder in the image that deployments/Dockerfile makes."""
TRIGGERS: TypeAdapter[list[DeploymentTriggerTypes]] = TypeAdapter(list[DeploymentTriggerTypes])


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOptions:
    """What differs from one installation to the next.

    Parameters
    ----------
    config
        Settings of the runs: their defaults in the form, and what incoming images are processed with.
    incoming
        Folder in which images arrive.
    every_seconds
        s — time between two scheduled looks for incoming images; None leaves what prefect.yaml says.
    pool
        Name of the work pool.
    pool_type
        ``process``, ``docker`` or ``kubernetes``.
    image
        Container image of the runs, for the latter two.
    folder
        Where processes work. Without one, Prefect would copy all that is in the worker's folder for every run.
    """

    config: PipelineConfig = field(default_factory=PipelineConfig)
    incoming: Path = Path("incoming")
    every_seconds: float | None = None
    pool: str = "process"
    pool_type: str = "process"
    image: str | None = None
    folder: Path = field(default_factory=Path.cwd)


def load_deployments(options: DeploymentOptions) -> list[RunnerDeployment]:
    """Make the deployments of prefect.yaml, with the settings of an installation.

    Parameters
    ----------
    options
        The installation.
    """
    return [_deployment(described, options) for described in _read_yaml("prefect.yaml")["deployments"]]


def deploy(options: DeploymentOptions) -> list[str]:
    """Make the work pool, the deployments and the automations on the server; again, it brings them up to date.

    Parameters
    ----------
    options
        The installation.

    Returns
    -------
    Names of the deployments.

    Raises
    ------
    ConfigError
        If there is no such type of work pool.
    """
    described = _read_pool(options.pool_type)
    deployments = load_deployments(options)
    with get_client(sync_client=True) as client:
        _make_pool(client, options, described.get("base_job_template", {}))
        for made in deployments:
            made.job_variables = _merged(described.get("job_variables", {}), made.job_variables)
            made.storage = LocalStorage(str(options.folder if options.pool_type == "process" else IN_CONTAINER))
            if options.image is not None:
                made.job_variables["image"] = options.image
            made.apply(work_pool_name=options.pool)
            log.info("deployment_made", name=made.full_name, pool=options.pool)
        for automation in _read_yaml("deployments/automations.yaml")["automations"]:
            _make_automation(client, AutomationCore.model_validate(automation))
    return [made.full_name for made in deployments]


def serve_here(options: DeploymentOptions) -> None:
    """Make the deployments and the automations, and run in this process's children what is due, until interrupted.

    Parameters
    ----------
    options
        The installation; its work pool is not needed.
    """
    deployments = load_deployments(options)
    for made in deployments:
        made.storage = LocalStorage(str(options.folder))
        os.environ |= made.job_variables["env"]  # children of this process get it, as those of a worker would
        made.work_pool_name = made.work_queue_name = None
        made.job_variables = {}
    with get_client(sync_client=True) as client:
        for automation in _read_yaml("deployments/automations.yaml")["automations"]:
            _make_automation(client, AutomationCore.model_validate(automation))
    serve(*deployments, print_starting_message=False)


def _deployment(described: dict[str, Any], options: DeploymentOptions) -> RunnerDeployment:
    pool = described["work_pool"]
    every_seconds = options.every_seconds if "incoming" in described.get("parameters", {}) else None
    made: RunnerDeployment = _flow_of(described["entrypoint"]).to_deployment(
        name=described["name"],
        description=described["description"],
        tags=described["tags"],
        parameters=_parameters(described.get("parameters", {}), options),
        schedules=[_schedule(one, every_seconds) for one in described.get("schedules", [])],
        triggers=TRIGGERS.validate_python(described.get("triggers", [])),
        concurrency_limit=_limit(described.get("concurrency_limit")),
        work_pool_name=options.pool,
        work_queue_name=pool["work_queue_name"],
        job_variables=deepcopy(pool["job_variables"]),
        # Found by the name of the module, wherever the project is installed; no code is copied.
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return made


def _flow_of(entrypoint: str) -> Any:  # noqa: ANN401 (a flow of whatever parameters)
    """Find the flow of an entrypoint such as ``flows/sensor.py:take_in_images``."""
    path, _, name = entrypoint.partition(":")
    return resolve_name(f"{path.removesuffix('.py').replace('/', '.')}:{name}")


def _parameters(described: dict[str, Any], options: DeploymentOptions) -> dict[str, Any]:
    """Put the settings of the installation over those of prefect.yaml."""
    parameters = deepcopy(described)
    if "config" in parameters:
        given = options.config.model_dump(mode="json", exclude_defaults=True)
        parameters["config"] = _merged(parameters["config"], given)
    if "incoming" in parameters:
        parameters["incoming"]["folder"] = str(options.incoming)
    return parameters


def _schedule(described: dict[str, Any], every_seconds: float | None) -> Schedule:
    if "cron" in described:
        return Cron(described["cron"], timezone=described.get("timezone"), slug=described["slug"])
    seconds = described["interval"] if every_seconds is None else every_seconds
    return Interval(seconds, slug=described["slug"])


def _limit(described: dict[str, Any] | None) -> ConcurrencyLimitConfig | None:
    return None if described is None else ConcurrencyLimitConfig.model_validate(described)


def _make_pool(client: SyncPrefectClient, options: DeploymentOptions, template: dict[str, Any]) -> None:
    """Make the work pool if it is not there; one that is stays as people may have changed it."""
    try:
        client.read_work_pool(options.pool)
    except ObjectNotFound:
        whole = _merged(_default_template(client, options.pool_type), template)
        client.create_work_pool(WorkPoolCreate(name=options.pool, type=options.pool_type, base_job_template=whole))
        log.info("work_pool_made", name=options.pool, type=options.pool_type)


def _default_template(client: SyncPrefectClient, pool_type: str) -> dict[str, Any]:
    """Ask the server for Prefect's own template of a type of work pools."""
    collections = client.request(
        "GET", "/collections/views/{view}", path_params={"view": "aggregate-worker-metadata"}
    ).json()
    for collection in collections.values():
        for worker in collection.values():
            if worker["type"] == pool_type:
                template: dict[str, Any] = worker["default_base_job_configuration"]
                return template
    msg = f"the Prefect server knows no work pools of type {pool_type!r}"
    raise ConfigError(msg)


def _make_automation(client: SyncPrefectClient, automation: AutomationCore) -> None:
    for old in client.read_automations_by_name(automation.name):
        client.delete_automation(old.id)
    client.create_automation(automation)
    log.info("automation_made", name=automation.name)


def _read_pool(pool_type: str) -> dict[str, Any]:
    name = f"deployments/{pool_type}.yaml"
    if not _is_there(name):
        msg = f"no work pools of type {pool_type!r} are described in deployments/: process, docker or kubernetes"
        raise ConfigError(msg)
    return _read_yaml(name)


def _is_there(name: str) -> bool:
    return any((folder / name).is_file() for folder in _folders())


def _read_yaml(name: str) -> dict[str, Any]:
    """Read a file of the checkout, or what an installed wheel holds of it."""
    for folder in _folders():
        if (folder / name).is_file():
            content: dict[str, Any] = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
            return content
    msg = f"{name} is missing beside {HERE}; install the project again"
    raise ConfigError(msg)


def _folders() -> Sequence[Path]:
    return HERE.parent, HERE / "installed"


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay settings over others, dict by dict; anything else, lists too, is replaced as a whole."""
    merged = deepcopy(below)
    for key, value in above.items():
        is_nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if is_nested else deepcopy(value)
    return merged
