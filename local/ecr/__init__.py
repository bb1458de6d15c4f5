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

What the endpoint does as Amazon ECR documents or is known to do (see `endpoint` for each source): a
repository must exist; blobs are read through a 307 to another host that refuses ``Authorization``;
``PATCH`` answers 201; tags may be immutable, even for the same image again; a manifest must not name
missing layers or images; referrers are listed; limits of size. Another account gets in by the
repository's policy only.

Known from documentation and issue threads alone, not seen on the service: the exact codes for a manifest
that names missing content, and the answer to a blob whose digest is wrong.
"""

from local.ecr.control import install
from local.ecr.faults import Fault, Faults, RequestLog
from local.ecr.server import LocalRegistry

__all__ = ["Fault", "Faults", "LocalRegistry", "RequestLog", "install"]
