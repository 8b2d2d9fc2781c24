"""Put an object into a bucket, by S3."""

from __future__ import annotations

from beltline.modules.far_files import PutConfig, PutOutput
from beltline.modules.s3.where import Bucket, Key, Region, check_key
from beltline.sdk import ClientFailed, Context, Example, Module, NoFile, Reject, Retry


class S3PutConfig(PutConfig, kw_only=True):
    """The content, and where it goes."""

    bucket: Bucket
    key: Key
    region: Region = "us-east-1"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_key(self.key)


async def put(config: S3PutConfig, context: Context) -> PutOutput | Retry | Reject:
    """Puts the object."""
    from beltline.clients.s3 import objects

    try:
        content = await config.content(context)
        async with context.client(objects(config.bucket, config.region)) as bucket:
            await bucket.put(config.key, content)
    except NoFile as wrong:
        return Reject(str(wrong))
    except ClientFailed as failed:
        return failed.outcome
    return PutOutput(path=config.key, bytes=len(content))


module = Module(
    name="s3.put",
    version=1,
    summary="Put an object into a bucket.",
    description=(
        "An object appears whole or not at all, and takes the place of what had its key. The"
        " connection's address is that of the service, its user the id of the access key, its"
        " secret the key. A service that is away is tried again; a bucket that is missing, and a"
        " right that the key has not, end the visit. Needs `pip install beltline[files]`."
    ),
    on_repeat="It puts the same content under the same key once more.",
    category="data",
    icon="upload",
    effect="idempotent",
    connection="s3",
    config=S3PutConfig,
    output=PutOutput,
    handler=put,
    examples=(
        Example(
            "Keep a request",
            {"bucket": "archive", "key": "leads/42.json", "text": '{"name": "Anna"}'},
        ),
        Example(
            "Keep a file of the document",
            {
                "bucket": "archive",
                "key": "scans/42.pdf",
                "file": {"blob": "sha256:" + "0" * 64},
                "region": "eu-central-1",
            },
        ),
    ),
)
