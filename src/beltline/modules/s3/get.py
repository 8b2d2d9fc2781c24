"""Fetch an object from a bucket, by S3."""

from __future__ import annotations

from beltline.modules.far_files import GetOutput, Optional, kept
from beltline.modules.s3.where import Bucket, Key, Region, check_key
from beltline.sdk import ClientFailed, Config, Context, Example, Module, NoFile, Reject, Retry


class S3GetConfig(Config):
    """Which object."""

    bucket: Bucket
    key: Key
    region: Region = "us-east-1"
    optional: Optional = False

    def __post_init__(self) -> None:
        check_key(self.key)


async def get(config: S3GetConfig, context: Context) -> GetOutput | Retry | Reject:
    """Reads the object, and keeps it here."""
    from beltline.clients.s3 import objects

    try:
        async with context.client(objects(config.bucket, config.region)) as bucket:
            found = await bucket.get(config.key, context.bounds.module_file_bytes)
        if found is None and config.optional:
            return GetOutput(file=None, modified=None)
        if found is None:
            return Reject(f"there is no object {config.key} in {config.bucket}")
        return await kept(found.content, config.key, found.modified, context)
    except NoFile as wrong:
        return Reject(str(wrong))
    except ClientFailed as failed:
        return failed.outcome


module = Module(
    name="s3.get",
    version=1,
    summary="Fetch an object from a bucket.",
    description=(
        "The object is kept here, up to the bound `module_file_bytes`, and the result names it, for"
        " `csv.read` and the like. Needs"
        " `pip install beltline[files]`."
    ),
    on_repeat="It reads the object again, as it is then.",
    category="data",
    icon="download",
    effect="idempotent",
    connection="s3",
    config=S3GetConfig,
    output=GetOutput,
    handler=get,
    examples=(
        Example("Fetch the prices of the day", {"bucket": "shop", "key": "prices.csv"}),
        Example(
            "Look whether there is an answer",
            {"bucket": "shop", "key": "answers/42.json", "optional": True},
        ),
    ),
)
