"""etcd, the API server, the controllers and the scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import kubeconfigs, places
from .api import Api
from .certificates import Authority, Pair, signing_key
from .components import Component, accepts, answers
from .nodes import API_SERVICE, GATEWAY, SERVICE_NETWORK

_ETCD_PORT = 2379
# Nothing listens on loopback: its ports may be taken, those of the cluster's address are not.
_ETCD = f"https://{GATEWAY}:{_ETCD_PORT}"
_ETCD_PEER = f"https://{GATEWAY}:2380"
_CONTROLLERS_PORT = 10257
_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
_SCHEDULER_PORT = 10259
_NOTICED_AFTER = "20s"
"""When a silent node counts as lost; half of what clusters usually wait, for short tests."""


@dataclass(frozen=True)
class Identities:
    """All that the control plane's components prove themselves with."""

    folder: Path
    authority: Authority
    etcd: Authority
    admin: Pair
    accounts: Path
    """Signs the tokens of service accounts."""

    @classmethod
    def create(cls) -> Identities:
        """New ones for a new cluster."""
        folder = places.STATE / "certificates"
        authority = Authority("threadkeep-cluster", folder)
        return cls(
            folder,
            authority,
            Authority("threadkeep-etcd", folder / "etcd"),
            authority.issue("admin", subject="admin", group="system:masters"),
            signing_key(folder / "accounts.key"),
        )

    @property
    def api(self) -> Api:
        """The API as its administrator."""
        return Api(self.authority.pair.certificate, self.admin)

    def kubeconfig(self, subject: str, *, group: str | None = None) -> Path:
        """A kubeconfig for a component of this name."""
        name = subject.removeprefix("system:").replace(":", "-")
        pair = self.authority.issue(name, subject=subject, group=group)
        return kubeconfigs.write(
            self.folder / f"{name}.kubeconfig",
            authority=self.authority.pair.certificate,
            pair=pair,
        )


def components(identities: Identities) -> list[Component]:
    """In the order in which they can start."""
    return [
        _etcd(identities),
        _api_server(identities),
        _controllers(identities),
        _scheduler(identities),
    ]


def _etcd(identities: Identities) -> Component:
    pair = identities.etcd.issue("server", subject="etcd", names=(GATEWAY,))
    return Component(
        "etcd",
        (
            str(places.BUILT / "etcd"),
            f"--data-dir={places.STATE / 'etcd'}",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            f"--listen-peer-urls={_ETCD_PEER}",
            f"--initial-advertise-peer-urls={_ETCD_PEER}",
            f"--initial-cluster=default={_ETCD_PEER}",
            "--client-cert-auth",
            f"--trusted-ca-file={identities.etcd.pair.certificate}",
            f"--cert-file={pair.certificate}",
            f"--key-file={pair.key}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={identities.etcd.pair.certificate}",
            f"--peer-cert-file={pair.certificate}",
            f"--peer-key-file={pair.key}",
            # The cluster does not outlive the machine; its tests wait for every write.
            "--unsafe-no-fsync",
        ),
        lambda: accepts(GATEWAY, _ETCD_PORT),
    )


def _api_server(identities: Identities) -> Component:
    serving = identities.authority.issue(
        "api-server",
        subject="kube-apiserver",
        names=(
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            API_SERVICE,
            GATEWAY,
        ),
    )
    etcd = identities.etcd.issue("client", subject="kube-apiserver")
    certificate = identities.authority.pair.certificate
    return Component(
        "kube-apiserver",
        (
            str(places.BUILT / "kube-apiserver"),
            f"--etcd-servers={_ETCD}",
            f"--etcd-cafile={identities.etcd.pair.certificate}",
            f"--etcd-certfile={etcd.certificate}",
            f"--etcd-keyfile={etcd.key}",
            f"--bind-address={GATEWAY}",
            f"--advertise-address={GATEWAY}",
            f"--secure-port={kubeconfigs.API_PORT}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={certificate}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={identities.accounts}",
            f"--service-account-signing-key-file={identities.accounts}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--endpoint-reconciler-type=lease",
            "--allow-privileged=true",
            # Logs and exec ask the kubelet by its address; its name is in no DNS.
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={certificate}",
            f"--kubelet-client-certificate={identities.admin.certificate}",
            f"--kubelet-client-key={identities.admin.key}",
            "--profiling=false",
        ),
        identities.api.is_ready,
    )


def _controllers(identities: Identities) -> Component:
    authority = identities.authority.pair
    config = identities.kubeconfig("system:kube-controller-manager")
    return Component(
        "kube-controller-manager",
        (
            str(places.BUILT / "kube-controller-manager"),
            f"--kubeconfig={config}",
            f"--service-account-private-key-file={identities.accounts}",
            f"--root-ca-file={authority.certificate}",
            f"--cluster-signing-cert-file={authority.certificate}",
            f"--cluster-signing-key-file={authority.key}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            f"--bind-address={GATEWAY}",
            f"--secure-port={_CONTROLLERS_PORT}",
            f"--node-monitor-grace-period={_NOTICED_AFTER}",
            "--node-monitor-period=2s",
            "--profiling=false",
        ),
        # Its first visible work, without which nobody can make a pod.
        lambda: identities.api.get(_DEFAULT_ACCOUNT) is not None,
    )


def _scheduler(identities: Identities) -> Component:
    config = identities.kubeconfig("system:kube-scheduler")
    return Component(
        "kube-scheduler",
        (
            str(places.BUILT / "kube-scheduler"),
            f"--kubeconfig={config}",
            "--leader-elect=false",
            f"--bind-address={GATEWAY}",
            f"--secure-port={_SCHEDULER_PORT}",
            "--profiling=false",
        ),
        lambda: answers(GATEWAY, _SCHEDULER_PORT, "/healthz", is_tls=True),
    )
