// SPDX-License-Identifier: Apache-2.0
// Reads a blob by @azure/storage-blob, unmodified, with a bearer token. Prints the tenant of each challenge that asks for
// another token (it gets the same), then "read" and the SHA-256 of what it read, or "refused", status and error code.
// Usage: token_read.js ENDPOINT CONTAINER BLOB TOKEN
'use strict';
const crypto = require('crypto');
const { BlobServiceClient } = require('@azure/storage-blob');

const [endpoint, container, name, token] = process.argv.slice(2);
const credential = {
    async getToken(scopes, options) {
        if (options.tenantId) console.log(`challenge ${options.tenantId}`);
        return { token, expiresOnTimestamp: Date.now() + 3600e3 };
    },
};

async function main() {
    const blob = new BlobServiceClient(endpoint, credential).getContainerClient(container).getBlobClient(name);
    try {
        const pieces = [];
        for await (const piece of (await blob.download()).readableStreamBody) pieces.push(piece);
        console.log(`read ${crypto.createHash('sha256').update(Buffer.concat(pieces)).digest('hex')}`);
    } catch (error) {
        if (!error.statusCode) throw error;
        console.log(`refused ${error.statusCode} ${error.code}`);
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
