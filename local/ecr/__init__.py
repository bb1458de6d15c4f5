"""The local AWS's Amazon ECR: a registry endpoint for each account, and moto's control plane put right.

How to use it::

    registry = LocalRegistry(folder)
    registry.start("127.0.0.1")             # "0.0.0.0" for containers
    install(registry, patch)                # patch(owner, name, value), as mock.patch.object does
    registry.port_for("111122223333")       # also opened by GetAuthorizationToken
    registry.faults.plan("GET", r"/blobs/", status=503, times=2)
    registry.log.count("HEAD", r"/manifests/")
    registry.stop()

``GetAuthorizationToken`` answers with a ``proxyEndpoint`` on the host that the API was called on, and a
token that says who asked. moto keeps the repositories and images, so that its ``DescribeImages`` and the
endpoint never disagree; the layers' bytes are files in ``folder``.

What the endpoint and the API do as Amazon ECR does is listed as ``RULES`` in each module, each with what it rests on.
Another account gets in by the repository's policy only.

Two answers are selectable, because an account may see either: `Repositories.blob_mounting` (an account setting) and
`Repositories.takes_referrers` (documented one way, reported the other).
"""

from local.ecr.control import install
from local.ecr.faults import Fault, Faults, RequestLog
from local.ecr.server import LocalRegistry

__all__ = ["Fault", "Faults", "LocalRegistry", "RequestLog", "install"]
