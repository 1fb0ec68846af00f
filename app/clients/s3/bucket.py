"""Maintenance of an S3 bucket through aioboto3: listing, deletion, and rules for the expiry of objects."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from botocore.exceptions import ClientError
from typing_extensions import override

from app.clients.object_store import TTL_TAG, Bucket
from app.clients.s3.connection import RESPONSE_SECONDS, S3Connection
from app.clients.s3.failures import NOT_FOUND, failures, status_of
from app.clients.stored_objects import ListedObject

_RULE_PREFIX = "taskbeacon-ttl-"


class S3Bucket(S3Connection, Bucket):
    """Lists and deletes the objects of an S3 bucket, and sets the rules for their expiry."""

    @override
    async def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        request: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
        client = (await self.clients()).internal
        while True:
            with failures(f"list {prefix}"):
                async with asyncio.timeout(RESPONSE_SECONDS):
                    page = await client.list_objects_v2(**request)
            yield [
                ListedObject(key=item["Key"], size=item["Size"], modified_at=item["LastModified"])
                for item in page.get("Contents", ())
            ]
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    @override
    async def delete(self, keys: Sequence[str]) -> int:
        objects = [{"Key": key} for key in keys]
        client = (await self.clients()).internal
        with failures("remove objects"):
            async with asyncio.timeout(RESPONSE_SECONDS):
                answer = await client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
                )
        return len(keys) - len(answer.get("Errors", ()))

    @override
    async def write_lifecycle(self, days: Sequence[int]) -> bool:
        ours = [_rule(number) for number in days]
        client = (await self.clients()).internal
        with failures("write the bucket's rules"):
            async with asyncio.timeout(RESPONSE_SECONDS):
                present = await self._rules(client)
                foreign = [rule for rule in present if not rule.get("ID", "").startswith(_RULE_PREFIX)]
                wanted = {rule["ID"]: rule["Expiration"]["Days"] for rule in ours}
                if wanted == {
                    rule["ID"]: rule.get("Expiration", {}).get("Days")
                    for rule in present
                    if rule not in foreign
                }:
                    return False
                await client.put_bucket_lifecycle_configuration(
                    Bucket=self.bucket, LifecycleConfiguration={"Rules": [*foreign, *ours]}
                )
        return True

    async def _rules(self, client: Any) -> list[dict[str, Any]]:
        try:
            answer = await client.get_bucket_lifecycle_configuration(Bucket=self.bucket)
        except ClientError as error:
            if status_of(error) == NOT_FOUND:
                return []
            raise
        rules: list[dict[str, Any]] = answer.get("Rules", [])
        return rules


def _rule(days: int) -> dict[str, Any]:
    return {
        "ID": f"{_RULE_PREFIX}{days}",
        "Status": "Enabled",
        "Filter": {"Tag": {"Key": TTL_TAG, "Value": str(days)}},
        "Expiration": {"Days": days},
    }
