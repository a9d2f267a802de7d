#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a blob by azure-storage-blob for Python, unmodified, with a bearer token.

Prints the tenant of each challenge that asks for another token (it gets the same), then "read" and the SHA-256 of what it
read, or "refused", status and error code. Usage: token_read.py ENDPOINT CONTAINER BLOB TOKEN
"""
import hashlib
import sys
import time

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient

MIB = 1 << 20


class StaticCredential:
    def __init__(self, token):
        self.token = token

    def get_token(self, *scopes, **options):
        if options.get("tenant_id"):
            print("challenge", options["tenant_id"])
        return AccessToken(self.token, int(time.time()) + 3600)


def main():
    endpoint, container, name, token = sys.argv[1:]
    blob = BlobClient(endpoint, container, name, credential=StaticCredential(token), max_single_get_size=4 * MIB,
                      max_chunk_get_size=MIB)
    try:
        data = blob.download_blob(max_concurrency=4).readall()
        print("read", hashlib.sha256(data).hexdigest())
    except HttpResponseError as error:
        print("refused", error.status_code, error.response.headers.get("x-ms-error-code"))


main()
