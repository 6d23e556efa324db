"""Installations: deployments of one database and one folder of incoming images, under a name of their own.

Several installations share a server. The name is part of the names of deployments, work pools and automations, and is a
tag of all runs, so that each installation starts, pauses and recovers its own runs only.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.client.schemas.filters import FlowFilter, FlowFilterName

from trap.errors import ConfigError
from trap.images.patterns import path_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

__all__ = ["Installation", "arrivals_resource", "default_name", "named_entry", "read_installations", "require_free"]

SENSOR_FLOW = "take-in-images"
"""Flow of the sensor. Its deployment has the database and the folder of the installation among its parameters."""
TAG = "installation:"
"""Start of the tag of all deployments and runs of an installation."""
ALLOWED_NAME = re.compile(r"[\w.-]{1,60}")
PAGE = 200
"""Maximum number of deployments in a reply of the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An installation on a server.

    Parameters
    ----------
    name
        Name of the installation.
    database
        URL of its database, without a password.
    incoming
        Folder of incoming images.
    pool
        Name of the work pool; None if a running ``transients ui`` serves the deployments.
    """

    name: str
    database: str
    incoming: str
    pool: str | None = None

    def is_same(self, other: Installation) -> bool:
        """Return whether two installations have the same database and folder."""
        return (self.database, self.incoming) == (other.database, other.incoming)


def default_name(folder: Path) -> str:
    """Derive the name of an installation from its working folder."""
    return re.sub(r"[^\w.-]+", "-", folder.name).strip("-.")[:60] or "trap"


def read_installations(client: SyncPrefectClient) -> dict[str, Installation]:
    """Read the installations of a server, by name.

    Parameters
    ----------
    client
        Client of the server.
    """
    found: dict[str, Installation] = {}
    offset = 0
    sensors = FlowFilter(name=FlowFilterName(any_=[SENSOR_FLOW]))
    while page := client.read_deployments(flow_filter=sensors, limit=PAGE, offset=offset):
        for deployment in page:
            installation = _installation(deployment)
            if installation is not None:
                found[installation.name] = installation
        offset += PAGE
    return found


def _installation(sensor: DeploymentResponse) -> Installation | None:
    """Return the installation of a sensor; None for a deployment without a name, as `prefect deploy` creates it."""
    names = [tag.removeprefix(TAG) for tag in sensor.tags if tag.startswith(TAG)]
    if not names:
        return None
    parameters = sensor.parameters
    return Installation(
        name=names[0],
        database=str(parameters.get("config", {}).get("execution", {}).get("database", "")),
        incoming=str(parameters.get("incoming", {}).get("folder", "")),
        pool=sensor.work_pool_name,
    )


def require_free(
    installation: Installation, existing: Mapping[str, Installation], *, is_replaced: bool = False
) -> None:
    """Check that the name of an installation is valid, and that no other installation has it.

    Parameters
    ----------
    installation
        Installation to be created or updated.
    existing
        Installations of the server, by name.
    is_replaced
        Whether an installation of the same name with another database or folder is replaced.

    Raises
    ------
    ConfigError
        If the name is invalid, or belongs to an installation with another database or another folder.
    """
    if not ALLOWED_NAME.fullmatch(installation.name):
        msg = f"--name {installation.name!r}: use 1 to 60 letters, digits, dots, dashes and underscores"
        raise ConfigError(msg)
    other = existing.get(installation.name)
    if other is None or is_replaced or installation.is_same(other):
        return
    msg = (
        f"the name {installation.name!r} belongs to an installation with another database or folder"
        f" ({other.database}, images in {other.incoming}); choose another name with --name, or replace it with"
        " --replace"
    )
    raise ConfigError(msg)


def arrivals_resource(folder: Path | str) -> str:
    """Return the resource of events about images that arrive in a folder."""
    return f"trap.incoming.{path_text(os.path.abspath(folder))}"  # noqa: PTH100 (resolves .., but no links)


def named_entry(entry: Mapping[str, Any], installation: Installation) -> dict[str, Any]:
    """Give an entry of prefect.yaml or of automations.yaml the name of an installation.

    Parameters
    ----------
    entry
        A deployment, with its triggers, or an automation, with its trigger.
    installation
        The installation.

    Returns
    -------
    A copy with the name in front of all names, and with the tag of the installation; its triggers match only runs with
    that tag, arrivals in its folder, and workers of its pool.
    """
    name = installation.name
    named = {**entry, "name": f"{name}-{entry['name']}"}
    if "tags" in entry:
        named["tags"] = [*entry["tags"], f"{TAG}{name}"]
    if "trigger" in entry:
        named["trigger"] = _own_events(entry["trigger"], installation)
    if "triggers" in entry:
        named["triggers"] = [
            _own_events(trigger, installation) | {"name": f"{name}-{trigger['name']}"} for trigger in entry["triggers"]
        ]
    return named


def _own_events(trigger: Mapping[str, Any], installation: Installation) -> dict[str, Any]:
    """Restrict a trigger to the events of an installation."""
    own = dict(trigger)
    if trigger.get("match_related", {}).get("prefect.resource.role") == "tag":
        tag = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}{installation.name}"}
        own["match_related"] = [trigger["match_related"], tag]
    if "prefect.worker.started" in trigger["expect"]:
        own["match_related"] = trigger["match_related"] | {"prefect.resource.name": installation.pool}
    if "trap.observation.arrived" in trigger["expect"]:
        own["match"] = {"prefect.resource.id": glob.escape(arrivals_resource(installation.incoming))}
    return own
