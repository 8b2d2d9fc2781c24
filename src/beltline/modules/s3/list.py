"""List the objects below a prefix of a bucket, by S3."""

from __future__ import annotations

from typing import Annotated

from beltline.modules.far_files import FarFile, Limit, ListOutput, Pattern
from beltline.modules.s3.where import Bucket, Region
from beltline.sdk import ClientFailed, Config, Context, Example, Module, Reject, Retry, field


class S3ListConfig(Config):
    """Which bucket, and which of its objects."""

    bucket: Bucket
    prefix: Annotated[
        str,
        field("Prefix", "What their keys begin with, up to a slash.", examples=["leads"]),
    ] = ""
    region: Region = "us-east-1"
    pattern: Pattern = "*"
    limit: Limit = 1_000


async def list_objects(config: S3ListConfig, context: Context) -> ListOutput | Retry | Reject:
    """Looks below the prefix."""
    from beltline.clients.s3 import objects

    most = min(config.limit, context.bounds.module_rows)
    prefix = f"{config.prefix.strip('/')}/" if config.prefix.strip("/") else ""
    try:
        async with context.client(objects(config.bucket, config.region)) as bucket:
            found, more = await bucket.list(prefix, config.pattern, most)
    except ClientFailed as failed:
        return failed.outcome
    files = [FarFile(name=one.name, bytes=one.bytes, modified=one.modified) for one in found]
    return ListOutput(files=files, count=len(files), more=more)


module = Module(
    name="s3.list",
    version=1,
    summary="List the objects of a bucket.",
    description=(
        "Objects right below the prefix are listed, not those of deeper ones; names are without the"
        " prefix. The service is asked for all of them, a thousand at a time. To start a run for"
        " each object that comes, take a source of the kind `files`. Needs"
        " `pip install beltline[files]`."
    ),
    on_repeat="It looks again.",
    category="data",
    icon="folder",
    effect="idempotent",
    connection="s3",
    config=S3ListConfig,
    output=ListOutput,
    handler=list_objects,
    examples=(
        Example("What was kept", {"bucket": "archive", "prefix": "leads", "pattern": "*.json"}),
    ),
)
