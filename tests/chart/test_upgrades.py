"""What an upgrade does beside the release that runs, as far as `lookup` shows it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import yaml

from .chart import Helm, Object, Refused, only
from .running import release

DATABASE = "tk-threadkeep-postgres"
SECRET = "tk-threadkeep-database"
EXTERNAL = (
    *("--set", "database.mode=external"),
    *("--set", "database.external.existingSecret=mine"),
)
SCALED = ("--set", "autoscaling.enabled=true", "--set", "autoscaling.minReplicas=3")
UNHOOKED = ("--set", "migrations.hook=false")


def running(helm: Helm, *arguments: str) -> list[Object]:
    """What a release of these values leaves in its namespace, as an API server has it."""
    rendered = yaml.safe_load_all(helm.render(arguments))
    found = [each for each in rendered if each and "helm.sh/hook" not in annotations_of(each)]
    for each in found:
        if each["kind"] == "Deployment":
            each["spec"].setdefault("replicas", 1)
    return found


def annotations_of(each: Object) -> Object:
    found: Object = each["metadata"].get("annotations", {})
    return found


def without(objects: Iterable[Object], kind: str, name: str) -> list[Object]:
    return [o for o in objects if (o["kind"], o["metadata"]["name"]) != (kind, name)]


def upgraded(helm: Helm, found: list[Object], *arguments: str) -> list[Object]:
    """What an upgrade to these values makes, where these objects are found."""
    with release(found) as options:
        return [each for each in yaml.safe_load_all(helm.render([*options, *arguments])) if each]


def replicas(objects: list[Object]) -> int | None:
    count: int | None = only(objects, "Deployment", "threadkeep")["spec"].get("replicas")
    return count


def test_a_release_that_runs_can_be_upgraded_with_its_values(each_helm: Helm) -> None:
    found = running(each_helm)

    made = upgraded(each_helm, found)

    kept = only(found, "Secret", "database")["data"]
    assert only(made, "Secret", "database")["data"]["app-password"] == kept["app-password"]


def test_a_hook_that_could_only_wait_is_refused(each_helm: Helm) -> None:
    """From an external database to a bundled one, whose Secret comes with the upgrade."""
    found = running(each_helm, *EXTERNAL)

    with pytest.raises(Refused, match=r"Secret tk-threadkeep-database.*migrations\.hook=false"):
        upgraded(each_helm, found)

    assert only(upgraded(each_helm, found, *UNHOOKED), "Secret", "database")
    assert only(upgraded(each_helm, found, *EXTERNAL), "Job", "migrate")


def test_a_secret_that_was_kept_is_no_database(helm: Helm) -> None:
    found = without(running(helm), "Service", DATABASE)

    with pytest.raises(Refused, match=rf"no Service {DATABASE}.*migrations\.hook=false"):
        upgraded(helm, found)


def test_a_secret_of_ones_own_must_be_made(helm: Helm) -> None:
    with pytest.raises(Refused, match="Secret own, which does not exist: make it first"):
        upgraded(helm, running(helm), "--set", "database.bundled.existingSecret=own")


def test_a_release_that_never_came_to_its_pods_is_not_held_up(helm: Helm) -> None:
    """Nothing says then whether `lookup` works; the hook decides."""
    found = without(running(helm, *EXTERNAL), "Deployment", "tk-threadkeep")

    assert only(upgraded(helm, found), "Job", "migrate")


@pytest.mark.parametrize(("pods", "expected"), [(2, 3), (5, 5)])
def test_switching_the_autoscaler_on_takes_no_pods_away(
    each_helm: Helm, pods: int, expected: int
) -> None:
    found = running(each_helm, "--set", f"replicas={pods}")

    assert replicas(upgraded(each_helm, found, *SCALED)) == expected


def test_the_number_that_the_autoscaler_chose_is_repeated(each_helm: Helm) -> None:
    """Another one would be a conflict about its field; to its least it comes by itself."""
    found = running(each_helm, *SCALED)
    only(found, "Deployment", "threadkeep")["spec"]["replicas"] = 4

    assert replicas(upgraded(each_helm, found, *SCALED)) == 4
    assert replicas(upgraded(each_helm, found, *SCALED, "--set", "autoscaling.minReplicas=5")) == 4
    assert replicas(upgraded(each_helm, found)) == 2


CHANGED = [
    ("size=20Gi", 'size: is "10Gi" and should be "20Gi"'),
    ("storageClassName=fast", 'storageClassName: is "" and should be "fast"'),
    ("annotations.a=b", 'annotations: is "{}" and should be'),
]


@pytest.mark.parametrize(("change", "words"), CHANGED, ids=[change for change, _ in CHANGED])
def test_a_claim_that_nobody_can_change_is_told_before_the_hook(
    each_helm: Helm, change: str, words: str
) -> None:
    found = running(each_helm)
    arguments = ("--set", f"database.bundled.storage.{change}")

    with pytest.raises(Refused, match=f"{words}.*--cascade=orphan"):
        upgraded(each_helm, found, *arguments)

    orphaned = without(found, "StatefulSet", DATABASE)
    assert only(upgraded(each_helm, orphaned, *arguments), "StatefulSet")


@pytest.mark.parametrize("size", ["10Gi", "10240Mi", "10.0Gi"])
def test_the_same_size_may_be_written_otherwise(helm: Helm, size: str) -> None:
    assert upgraded(helm, running(helm), "--set", f"database.bundled.storage.size={size}")


def test_a_claim_with_everything_is_the_same_claim(helm: Helm) -> None:
    storage = "database.bundled.storage"
    arguments = (
        *("--set", f"{storage}.size=1.5Ti", "--set", f"{storage}.storageClassName=fast"),
        *("--set", f"{storage}.annotations.b=1,{storage}.annotations.a=2"),
    )
    strings = tuple("--set-string" if each == "--set" else each for each in arguments)
    found = running(helm, *strings)
    claim = only(found, "StatefulSet")["spec"]["volumeClaimTemplates"][0]
    claim["spec"]["resources"]["requests"]["storage"] = "1536Gi"

    assert upgraded(helm, found, *strings)


def test_without_a_cluster_nothing_is_compared(helm: Helm) -> None:
    """Every upgrade above that is refused renders."""
    for change, _ in CHANGED:
        assert helm.objects("--set", f"database.bundled.storage.{change}")
    assert only(helm.objects("--set", "database.bundled.existingSecret=own"), "Job", "migrate")
