"""The deployments of prefect.yaml, created for a work pool or served from this process.

The files are read from the checkout or, in an installed package, from the copies in ``flows/installed``.
"""

from __future__ import annotations

import os
import signal
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import httpx
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
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.collections import deep_merge
from pydantic import TypeAdapter

from flows.service.installations import Installation, default_name, named_entry, read_installations, require_free
from trap.config import PipelineConfig
from trap.errors import ConfigError
from trap.images.patterns import path_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefect.deployments.runner import RunnerDeployment

__all__ = ["DeploymentOptions", "arrange_form", "deploy", "installation_of", "load_deployments", "serve_here"]

log = structlog.get_logger(__name__)

PACKAGE = Path(__file__).parents[1]
CONTAINER_FOLDER = Path("/results")
"""Working folder in the container image of deployments/Dockerfile."""
PREFECT_YAML = "prefect.yaml"
AUTOMATIONS_YAML = "deployments/automations.yaml"
FIRST_PARAMETERS = ("config", "monitors")
FIRST_SETTINGS = ("execution", "persistence", "images", "database", "description")
"""Sections and settings at the top of the form: they differ from run to run."""
FORM_TEXTS = {
    "config": {"title": "Settings", "description": "Settings of the run. Images, database and description come first."},
    "monitors": {
        "title": "Monitored positions",
        "description": "Positions that are measured in every image, detected or not: right ascension and declination"
        " in degrees (ICRS), and a name. An existing dataset keeps its own.",
    },
    "batch": {
        "title": "Batch (internal)",
        "description": "Set by the sensor: the arrived images that replace the images of the settings. Leave it empty.",
    },
}
"""Titles and descriptions of the parameters of process-dataset in the form."""
TRIGGERS: TypeAdapter[list[DeploymentTriggerTypes]] = TypeAdapter(list[DeploymentTriggerTypes])


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOptions:
    """Properties of an installation.

    Parameters
    ----------
    name
        Name of the installation, in front of the names of its deployments.
    is_replaced
        Whether an installation of the same name with another database or folder is replaced.
    config
        Settings of the runs: the defaults of the form, and the settings for incoming images.
    incoming
        Folder of incoming images.
    every_seconds
        s — interval between two scheduled scans of that folder; None for the interval in prefect.yaml.
    pool
        Name of the work pool; None for the name of the installation and the type of the pool.
    pool_type
        ``process``, ``docker`` or ``kubernetes``.
    image
        Container image of the runs, for ``docker`` and ``kubernetes``; None for the image in the file of the pool.
    folder
        Working folder of the runs in a ``process`` pool. If a deployment has none, Prefect copies the whole folder of
        the worker for each run.
    """

    name: str = field(default_factory=lambda: default_name(Path.cwd()))
    is_replaced: bool = False
    config: PipelineConfig = field(default_factory=PipelineConfig)
    incoming: Path = Path("incoming")
    every_seconds: float | None = None
    pool: str | None = None
    pool_type: str = "process"
    image: str | None = None
    folder: Path = field(default_factory=Path.cwd)

    @property
    def pool_name(self) -> str:
        """Name of the work pool."""
        return self.pool or f"{self.name}-{self.pool_type}"


def installation_of(options: DeploymentOptions) -> Installation:
    """Return the installation that the options describe."""
    return Installation(
        name=options.name,
        database=options.config.execution.database,
        incoming=path_text(options.incoming),
        pool=options.pool_name,
    )


def load_deployments(options: DeploymentOptions) -> list[RunnerDeployment]:
    """Load the deployments of prefect.yaml with the settings of an installation.

    Parameters
    ----------
    options
        The installation.
    """
    return [_deployment(entry, options) for entry in _read_yaml(PREFECT_YAML)["deployments"]]


def deploy(options: DeploymentOptions) -> list[str]:
    """Create the work pool, the deployments and the automations on the server, or update existing ones.

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
        If the type of the work pool is unknown, or the name of the installation is invalid or in use.
    """
    pool = _read_pool(options.pool_type)
    deployments = load_deployments(options)
    folder = options.folder if options.pool_type == "process" else CONTAINER_FOLDER
    with get_client(sync_client=True) as client:
        require_free(installation_of(options), read_installations(client), is_replaced=options.is_replaced)
        _ensure_pool(client, options, pool.get("base_job_template", {}))
        for deployment in deployments:
            variables: dict[str, Any] = deep_merge(pool.get("job_variables", {}), deployment.job_variables)
            deployment.job_variables = variables if options.image is None else variables | {"image": options.image}
            deployment.storage = LocalStorage(str(folder))
            deployment.apply(work_pool_name=options.pool_name)
            log.info("deployment_made", name=deployment.full_name, pool=options.pool_name)
        _replace_automations(client, options)
    return [deployment.full_name for deployment in deployments]


def serve_here(options: DeploymentOptions) -> None:
    """Create the deployments and the automations, and run due flows in child processes until interrupted.

    The deployments are paused in the end, also when the interrupt comes while they are being created: nothing would
    execute the runs of their schedules.

    Parameters
    ----------
    options
        The installation; its work pool is not used.

    Raises
    ------
    ConfigError
        If the name of the installation is invalid or in use.
    """
    deployments = load_deployments(options)
    for deployment in deployments:
        deployment.storage = LocalStorage(str(options.folder))
        # A worker would set these variables for its child processes.
        os.environ |= deployment.job_variables["env"]
        deployment.work_pool_name = deployment.work_queue_name = None
        deployment.job_variables = {}
    with get_client(sync_client=True) as client:
        require_free(installation_of(options), read_installations(client), is_replaced=options.is_replaced)
        _replace_automations(client, options)
    # The runner handles termination itself, but only once it has created all deployments.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve(*deployments, print_starting_message=False)
    finally:
        _pause(deployments)


def _pause(deployments: Iterable[RunnerDeployment]) -> None:
    """Pause the deployments that exist on the server."""
    with get_client(sync_client=True) as client:
        for deployment in deployments:
            try:
                client.pause_deployment(client.read_deployment_by_name(deployment.full_name).id)
            except ObjectNotFound:  # the interrupt came before its creation
                continue
            except httpx.HTTPError as error:
                log.warning("deployment_not_paused", name=deployment.full_name, error=str(error))


def _deployment(entry: dict[str, Any], options: DeploymentOptions) -> RunnerDeployment:
    """Build a deployment from its entry in prefect.yaml."""
    entry = named_entry(entry, installation_of(options))
    pool = entry["work_pool"]
    every_seconds = options.every_seconds if "incoming" in entry.get("parameters", {}) else None
    deployment: RunnerDeployment = _load_flow(entry["entrypoint"]).to_deployment(
        name=entry["name"],
        description=entry["description"],
        tags=entry["tags"],
        parameters=_parameters(entry.get("parameters", {}), options),
        schedules=[_schedule(schedule, every_seconds) for schedule in entry.get("schedules", [])],
        triggers=TRIGGERS.validate_python(entry.get("triggers", [])),
        concurrency_limit=_concurrency_limit(entry.get("concurrency_limit")),
        work_pool_name=options.pool_name,
        work_queue_name=pool["work_queue_name"],
        job_variables=deepcopy(pool["job_variables"]),
        # The flow is imported by the name of its module, wherever the project is installed. No code is copied.
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    schema = deployment._parameter_openapi_schema  # noqa: SLF001 (Prefect offers no other way to change the form)
    arrange_form(schema.properties, schema.definitions)
    if "batch" in schema.properties and not {"incoming"} & set(entry["tags"]):
        del schema.properties["batch"]  # only the sensor sets it
    return deployment


def arrange_form(parameters: dict[str, Any], sections: dict[str, Any]) -> None:
    """Put the settings that each run needs at the top of a form, and describe the parameters.

    Prefect's UI sorts the fields of each section by ``position``. Without it, they are in the order of the database.

    Parameters
    ----------
    parameters
        JSON schemas of the parameters of a flow, by name, which are changed in place.
    sections
        JSON schemas of the models that the parameters refer to, by name, likewise.
    """
    for position, name in enumerate(_in_order(parameters, FIRST_PARAMETERS)):
        parameters[name] |= {"position": position} | FORM_TEXTS.get(name, {})
    for section in sections.values():
        for position, name in enumerate(_in_order(section.get("properties", {}), FIRST_SETTINGS)):
            section["properties"][name]["position"] = position


def _in_order(names: Iterable[str], first: tuple[str, ...]) -> list[str]:
    """Sort names: the given ones first, the others in their own order."""
    ordered = list(names)
    return [name for name in first if name in ordered] + [name for name in ordered if name not in first]


def _load_flow(entrypoint: str) -> Any:  # noqa: ANN401 (flows differ in their parameters)
    """Import the flow of an entrypoint such as ``flows/sensor.py:take_in_images``."""
    path, _, name = entrypoint.partition(":")
    return resolve_name(f"{path.removesuffix('.py').replace('/', '.')}:{name}")


def _parameters(defaults: dict[str, Any], options: DeploymentOptions) -> dict[str, Any]:
    """Override the parameters in prefect.yaml with the settings of the installation."""
    parameters = deepcopy(defaults)
    if "config" in parameters:
        settings = options.config.model_dump(mode="json", exclude_defaults=True)
        parameters["config"] = deep_merge(parameters["config"], settings)
    if "incoming" in parameters:
        parameters["incoming"] |= {
            "folder": path_text(options.incoming),
            "deployment": f"process-dataset/{options.name}-incoming",
        }
    return parameters


def _schedule(entry: dict[str, Any], every_seconds: float | None) -> Schedule:
    if "cron" in entry:
        return Cron(entry["cron"], timezone=entry.get("timezone"), slug=entry["slug"])
    seconds = entry["interval"] if every_seconds is None else every_seconds
    return Interval(seconds, slug=entry["slug"])


def _concurrency_limit(entry: dict[str, Any] | None) -> ConcurrencyLimitConfig | None:
    return None if entry is None else ConcurrencyLimitConfig.model_validate(entry)


def _ensure_pool(client: SyncPrefectClient, options: DeploymentOptions, template: dict[str, Any]) -> None:
    """Create the work pool if it is missing. An existing pool is not changed, since users may have edited it."""
    try:
        pool_type = client.read_work_pool(options.pool_name).type
    except ObjectNotFound:
        job_template = deep_merge(_default_template(client, options.pool_type), template)
        pool = WorkPoolCreate(name=options.pool_name, type=options.pool_type, base_job_template=job_template)
        client.create_work_pool(pool)
        log.info("work_pool_made", name=options.pool_name, type=options.pool_type)
        return
    if pool_type != options.pool_type:
        msg = f"the work pool {options.pool_name!r} is of type {pool_type!r}; choose another name with --pool"
        raise ConfigError(msg)


def _default_template(client: SyncPrefectClient, pool_type: str) -> dict[str, Any]:
    """Request Prefect's default job template of a type of work pool."""
    collections = client.request(
        "GET", "/collections/views/{view}", path_params={"view": "aggregate-worker-metadata"}
    ).json()
    for collection in collections.values():
        for worker in collection.values():
            if worker["type"] == pool_type:
                template: dict[str, Any] = worker["default_base_job_configuration"]
                return template
    msg = f"the Prefect server has no work pools of type {pool_type!r}"
    raise ConfigError(msg)


def _replace_automations(client: SyncPrefectClient, options: DeploymentOptions) -> None:
    """Create the automations of automations.yaml, in place of existing ones of the same names."""
    for entry in _read_yaml(AUTOMATIONS_YAML)["automations"]:
        automation = AutomationCore.model_validate(named_entry(entry, installation_of(options)))
        for previous in client.read_automations_by_name(automation.name):
            client.delete_automation(previous.id)
        client.create_automation(automation)
        log.info("automation_made", name=automation.name)


def _read_pool(pool_type: str) -> dict[str, Any]:
    """Read the description of a type of work pool."""
    path = _find_file(f"deployments/{pool_type}.yaml")
    if path is None:
        msg = f"unknown type of work pool {pool_type!r}: process, docker or kubernetes"
        raise ConfigError(msg)
    return _load_yaml(path)


def _read_yaml(name: str) -> dict[str, Any]:
    path = _find_file(name)
    if path is None:
        msg = f"{name} is missing from {PACKAGE.parent} and from the installed package; install the project again"
        raise ConfigError(msg)
    return _load_yaml(path)


def _find_file(name: str) -> Path | None:
    """Find the copy of a file in an installed package, or the file in the checkout."""
    # Beside an installed package are the files of all others.
    paths = (folder / name for folder in (PACKAGE / "installed", PACKAGE.parent))
    return next((path for path in paths if path.is_file()), None)


def _load_yaml(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
