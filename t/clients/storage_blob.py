#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""azure-storage-blob for Python, unmodified, against the endpoint it is given: with the account key, and reading with a SAS.

Prints a line for each step; any failure ends it with 1. Usage: storage_blob.py ENDPOINT ACCOUNT KEY CONTAINER
"""
import asyncio
import datetime
import os
import random
import sys

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient as AsyncContainerClient
from azure.storage.blob import BlobServiceClient, ContainerClient, ContainerSasPermissions, ContentSettings, generate_container_sas

MIB = 1 << 20


def step(what):
    print(f"{what}: ok", flush=True)


def read_all(container, blobs):
    for name, data in blobs.items():
        blob = container.get_blob_client(name)
        assert blob.download_blob().readall() == data, name
        step(f"{name}: whole")
        assert blob.download_blob(max_concurrency=4).readall() == data, name
        step(f"{name}: in parallel")
        for _ in range(8 if data else 0):
            start = random.randrange(len(data))
            count = random.randint(1, min(2 * MIB, len(data) - start))
            assert blob.download_blob(offset=start, length=count).readall() == data[start:start + count], name
        step(f"{name}: ranges")
        properties = blob.get_blob_properties()
        assert properties.size == len(data)
        assert properties.content_settings.content_type == "application/x-test"
        assert properties.metadata == {"owner": "python"}
        step(f"{name}: properties")


def read_validated(container, blobs):
    """The client has each range's MD5 sent along and compares it."""
    for name, data in blobs.items():
        blob = container.get_blob_client(name)
        assert blob.download_blob(validate_content=True).readall() == data, name
        if len(data) > 3000:
            assert blob.download_blob(offset=1000, length=2000, validate_content=True).readall() == data[1000:3000], name
        step(f"{name}: with its content validated")


async def read_async(endpoint, name, sas, blobs):
    async with AsyncContainerClient(endpoint, name, credential=sas, max_single_get_size=4 * MIB, max_chunk_get_size=MIB) as container:
        for blob, data in blobs.items():
            stream = await container.download_blob(blob, max_concurrency=4)
            assert await stream.readall() == data, blob
            step(f"{blob}: by the asynchronous client")


def main():
    endpoint, account, key, name = sys.argv[1:]
    service = BlobServiceClient(endpoint, credential={"account_name": account, "account_key": key},
                                max_single_put_size=4 * MIB, max_block_size=4 * MIB, max_single_get_size=4 * MIB, max_chunk_get_size=MIB)
    container = service.create_container(name)
    step("create container")
    blobs = {"empty": b"", "small": os.urandom(1000), "dir/large": os.urandom(9 * MIB + 7)}
    for blob, data in blobs.items():
        container.upload_blob(blob, data, metadata={"owner": "python"},
                              content_settings=ContentSettings(content_type="application/x-test"))
        step(f"upload {blob}")
    assert sorted(item.name for item in container.list_blobs()) == sorted(blobs)
    step("list")
    read_all(container, blobs)
    sas = generate_container_sas(account, name, account_key=key, permission=ContainerSasPermissions(read=True, list=True),
                                 expiry=datetime.datetime.utcnow() + datetime.timedelta(hours=1))
    shared = ContainerClient(endpoint, name, credential=sas, max_single_get_size=4 * MIB, max_chunk_get_size=MIB)
    for _ in range(2):
        read_all(shared, blobs)
    read_validated(container, blobs)
    read_validated(shared, blobs)
    asyncio.run(read_async(endpoint, name, sas, blobs))
    new = os.urandom(2000)
    container.upload_blob("small", new, overwrite=True)
    assert shared.download_blob("small").readall() == new
    step("overwrite, then read")
    try:
        shared.get_blob_client("small").download_blob(etag='"0x1"', match_condition=MatchConditions.IfNotModified)
        raise AssertionError("a condition that does not hold was met")
    except HttpResponseError as error:
        assert error.status_code == 412, error
    step("a condition that does not hold")
    for blob in blobs:
        container.delete_blob(blob)
    try:
        shared.download_blob("small")
        raise AssertionError("a deleted blob was read")
    except ResourceNotFoundError as error:
        assert error.error_code == "BlobNotFound", error
    service.delete_container(name)
    step("delete")


main()
