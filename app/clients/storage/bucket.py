"""Check that the bucket exists, list its objects, and set its rules of expiry (contract 8.3)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.clients.storage.s3_connection import S3Connection, status_of
from app.clients.storage.signed_urls import create_signer

# The bucket's lifecycle rules use this tag (contract 8.3): an object that was only uploaded expires after a day.
TTL_TAG = "ttl_days"
STAGED_DAYS = 1
KEPT_DAYS = 30

_RULE_PREFIX = "taskbeacon-ttl-"
_CHECK_LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ListedObject:
    key: str
    size: int
    modified_at: datetime


class Bucket:
    """All that is in the bucket of an object store. Every method may raise ObjectStoreUnavailable."""

    def __init__(self, s3: S3Connection) -> None:
        self._s3 = s3
        self.name = s3.name

    async def check(self) -> None:
        """Find the bucket, if possible without loading aioboto3: 25 MB of each API process (ADR 72)."""
        signer = create_signer(self._s3.settings, self._s3.settings.s3_endpoint_url)
        if signer is None:
            async with self._s3.calling("find the bucket") as client:
                await client.head_bucket(Bucket=self.name)
            return
        url = signer.sign("", _CHECK_LIFETIME, method="HEAD")
        try:
            async with asyncio.timeout(self._s3.seconds):
                status = await asyncio.to_thread(_send_head, url, self._s3.seconds)
        except (HTTPClientError, TimeoutError):
            # `from None`: the library's message contains the signed URL.
            raise ObjectStoreUnavailable("could not reach the object store") from None
        if status != HTTPStatus.OK:
            raise ObjectStoreUnavailable(f"could not find the bucket: HTTP {status}")

    async def list_pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """Yield lists of at most 1000 objects with keys that begin with `prefix`, in the order of the keys."""
        request: dict[str, Any] = {"Bucket": self.name, "Prefix": prefix}
        while True:
            async with self._s3.calling(f"list {prefix}") as client:
                page = await client.list_objects_v2(**request)
            yield [
                ListedObject(key=item["Key"], size=item["Size"], modified_at=item["LastModified"])
                for item in page.get("Contents", ())
            ]
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    async def write_rules(self) -> bool:
        """Set the expiry rules, one for each value of the tag `ttl_days`; return False if they were set already."""
        ours = [_rule(days) for days in (STAGED_DAYS, KEPT_DAYS)]
        async with self._s3.calling("write the bucket's rules") as client:
            try:
                answer = await client.get_bucket_lifecycle_configuration(Bucket=self.name)
                present: list[dict[str, Any]] = answer.get("Rules", [])
            except ClientError as error:
                if status_of(error) != HTTPStatus.NOT_FOUND:
                    raise
                present = []
            foreign = [rule for rule in present if not rule.get("ID", "").startswith(_RULE_PREFIX)]
            # Compare whole rules: one with our id may be disabled, or filter by another tag.
            if {rule["ID"]: rule for rule in ours} == {
                rule["ID"]: rule for rule in present if rule not in foreign
            }:
                return False
            await client.put_bucket_lifecycle_configuration(
                Bucket=self.name, LifecycleConfiguration={"Rules": [*foreign, *ours]}
            )
        return True


def _send_head(url: str, seconds: float) -> int:
    # By the HTTP library of botocore, which is loaded for signing anyway; it blocks.
    session = URLLib3Session(timeout=seconds, proxies=get_environ_proxies(url))
    try:
        return int(session.send(AWSRequest(method="HEAD", url=url).prepare()).status_code)
    finally:
        session.close()


def _rule(days: int) -> dict[str, Any]:
    return {
        "ID": f"{_RULE_PREFIX}{days}",
        "Status": "Enabled",
        "Filter": {"Tag": {"Key": TTL_TAG, "Value": str(days)}},
        "Expiration": {"Days": days},
    }
